with

source as (

    select * from {{ source('causalpy', 'deaths_and_temps_england_wales') }}

),

final as (

    select
        cast(t as integer) as month,
        cast(month as integer) as month_of_year,
        cast(year as integer) as year,
        cast(deaths as integer) as deaths,
        cast(temp as double) as temperature
    from source

)

select * from final
