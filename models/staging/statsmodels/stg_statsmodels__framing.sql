with

source as (

    select * from {{ source('statsmodels', 'framing') }}

),

final as (

    select
        cast(column00 as integer) as unit_id,
        cast(treat as integer) as framed,
        cast(emo as integer) as anxiety,
        cast(cong_mesg as integer) as wrote,
        cast(age as integer) as age,
        cast(educ as varchar) as education,
        cast(gender = 'female' as integer) as female,
        cast(income as integer) as income
    from source

)

select * from final
