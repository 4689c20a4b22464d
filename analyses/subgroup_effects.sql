-- A valid effect for any group of units, from the doubly robust scores alone: nothing is fitted again.
select
    units.married,
    count(*) as n_units,
    avg(scores.dr_score) as estimate,
    stddev(scores.dr_score) / sqrt(count(*)) as std_error
from {{ ref('nsw_scores') }} as scores
inner join {{ ref('nsw_units') }} as units on scores.unit_id = units.unit_id
group by units.married
order by units.married
