-- a file of zero bytes
select * from {{ ref('stg_files__zero_bytes') }}
