select * from {{ source('generated', 'units') }}
