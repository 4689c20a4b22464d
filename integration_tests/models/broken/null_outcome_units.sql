-- two outcomes were never measured
select
    * exclude (spend),
    case when unit_id > 2 then spend end as spend
from {{ ref('stg_files__trial') }}
