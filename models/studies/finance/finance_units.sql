with

customers as (

    select * from {{ ref('stg_generated__finance_units') }}

),

final as (

    select
        * exclude (cohort),
        -- never adopted: no cohort
        nullif(cohort, 0) as cohort
    from customers

)

select * from final
