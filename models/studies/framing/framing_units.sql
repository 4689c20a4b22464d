with

staged as (

    select * from {{ ref('stg_statsmodels__framing') }}

)

select * from staged
