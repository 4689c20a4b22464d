with

staged as (

    select * from {{ ref('stg_linearmodels__card') }}

)

select * from staged
