-- a join that never matches
select
    * exclude (visits),
    cast(null as integer) as visits
from {{ ref('stg_files__trial') }}
