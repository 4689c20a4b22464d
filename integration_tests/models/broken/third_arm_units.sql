-- some of the treated had another treatment
select
    * exclude (treated),
    case when unit_id % 5 = 0 then 2 else treated end as treated
from {{ ref('stg_files__trial') }}
