with

smokers as (

    select * from {{ ref('stg_causaldata__nhefs') }}

),

final as (

    select *
    from smokers
    where smokeintensity <= 25

)

select * from final
