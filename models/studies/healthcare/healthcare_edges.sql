with

staged as (

    select * from {{ ref('stg_generated__healthcare_edges') }}

)

select * from staged
