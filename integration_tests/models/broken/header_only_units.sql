-- a file with a header and no rows
select * from {{ ref('stg_files__header_only') }}
