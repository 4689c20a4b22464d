-- `varience:` where `variance:` is meant
select * from {{ ref('stg_files__trial') }}
