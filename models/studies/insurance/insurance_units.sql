with

staged as (

    select * from {{ ref('stg_causaldata__social_insure') }}

)

select * from staged
