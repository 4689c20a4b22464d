-- `covariate:` where `covariates:` is meant
select * from {{ ref('stg_files__trial') }}
