with

staged as (

    select * from {{ ref('stg_causaldata__nsw') }}

)

select * from staged
