with

staged as (

    select * from {{ ref('stg_causaldata__nhefs') }}

)

select * from staged
