with

source as (

    select * from {{ source('sensemakr', 'darfur') }}

),

renamed as (

    select
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

),

final as (

    select
        -- the file has no id: one from the content, whatever the order of the rows
        {{ content_id('renamed') }} as unit_id,
        *
    from renamed

)

select * from final
