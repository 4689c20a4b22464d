with

staged as (

    select * from {{ ref('stg_generated__healthcare_units') }}

)

select * from staged
