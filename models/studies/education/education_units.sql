with

staged as (

    select * from {{ ref('stg_generated__education_units') }}

)

select * from staged
