with

source as (

    select * from {{ source('generated', 'healthcare_edges') }}

),

final as (

    select
        cast(source as integer) as source,
        cast(target as integer) as target
    from source

)

select * from final
