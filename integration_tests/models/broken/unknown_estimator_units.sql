-- `ipww` where `ipw` is meant
select * from {{ ref('stg_files__trial') }}
