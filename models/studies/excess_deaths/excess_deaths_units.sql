with

months as (

    select * from {{ ref('stg_causalpy__deaths_england_wales') }}

),

final as (

    select
        'England and Wales' as nation,
        *
    from months

)

select * from final
