with

counties as (

    select * from {{ ref('stg_moderndid__mpdta') }}

),

final as (

    select
        county_id,
        year,
        -- never treated: no cohort
        nullif(first_treat, 0) as cohort,
        lemp,
        lpop
    from counties

)

select * from final
