with

source as (

    select * from {{ source('rdrobust', 'senate') }}

),

final as (

    select
        cast(state as varchar) as state,
        cast(year as integer) as year,
        cast(class as integer) as class,
        cast(margin as double) as margin,
        cast(vote as double) as vote,
        cast(population as bigint) as population,
        cast(demvoteshlag1 as double) as demvoteshlag1
    from source

)

select * from final
