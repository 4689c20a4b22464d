select i as unit_id, i % 2 as treated, (i * 7919) % 101 as age, 2.0 * (i % 2) + 0.01 * ((i * 7919) % 101) + ((i * 104729) % 97) / 50.0 as y
from range(240) as r(i)
