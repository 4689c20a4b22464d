-- the outcome came with its unit
select
    * exclude (spend),
    cast(spend as varchar) || ' EUR' as spend
from {{ ref('stg_files__trial') }}
