with

staged as (

    select * from {{ ref('stg_linearmodels__wage_panel') }}

)

select * from staged
