with

elections as (

    select * from {{ ref('stg_rdrobust__senate') }}

),

final as (

    select
        state || '-' || cast(year as varchar) as unit_id,
        state,
        year,
        margin,
        vote,
        demvoteshlag1
    from elections

)

select * from final
