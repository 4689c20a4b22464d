-- data/missing_file.csv is not there
select * from {{ ref('stg_files__missing_file') }}
