-- a filter that loses the other arm
select * from {{ ref('stg_files__trial') }}
where treated = 1
