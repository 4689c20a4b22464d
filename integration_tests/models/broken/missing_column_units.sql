-- the study declares a covariate that is not here
select * from {{ ref('stg_files__trial') }}
