with

source as (

    select * from {{ source('sensemakr', 'darfur') }}

),

final as (

    select
        cast(row_number() over () as integer) as unit_id,
        cast(peacefactor as double) as peace_index,
        cast(directlyharmed as integer) as harmed,
        cast(age as integer) as age,
        cast(farmer_dar as integer) as farmer,
        cast(herder_dar as integer) as herder,
        cast(pastvoted as integer) as voted,
        cast(hhsize_darfur as integer) as household_size,
        cast(female as integer) as female,
        cast(village as varchar) as village
    from source

)

select * from final
