with

source as (

    select * from {{ source('moderndid', 'mpdta') }}

),

final as (

    select
        cast(countyreal as bigint) as county_id,
        cast(year as integer) as year,
        cast("first.treat" as integer) as first_treat,
        cast(lemp as double) as lemp,
        cast(lpop as double) as lpop
    from source

)

select * from final
