with

source as (

    select * from {{ source('linearmodels', 'wage_panel') }}

),

final as (

    select
        cast(nr as integer) as person_id,
        cast(year as integer) as year,
        cast(lwage as double) as lwage,
        cast("union" as integer) as member,
        cast(educ as integer) as education,
        cast(exper as integer) as experience,
        cast(black as integer) as black,
        cast(hisp as integer) as hispanic,
        cast(married as integer) as married
    from source

)

select * from final
