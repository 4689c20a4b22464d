-- three units come twice
select * from {{ ref('stg_files__trial') }}
union all
select * from {{ ref('stg_files__trial') }}
where unit_id <= 3
