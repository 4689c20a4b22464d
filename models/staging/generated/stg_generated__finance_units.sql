with

source as (

    select * from {{ source('generated', 'finance_units') }}

),

final as (

    select
        cast(customer_id as integer) as customer_id,
        cast(quarter as integer) as quarter,
        cast(cohort as integer) as cohort,
        cast(app as integer) as app,
        cast(spending as double) as spending,
        cast(income as double) as income,
        cast(age as double) as age,
        cast(tenure as double) as tenure,
        cast(credit_score as double) as credit_score
    from source

)

select * from final
