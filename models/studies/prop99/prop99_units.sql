with

states as (

    select * from {{ ref('stg_causalpy__california_prop99') }}

),

final as (

    select
        state,
        year,
        cigsale,
        -- Proposition 99 took effect in January 1989
        case when state = 'California' then 1989 end as cohort
    from states

)

select * from final
