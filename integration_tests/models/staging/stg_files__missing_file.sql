with

source as (

    select * from {{ source('files', 'missing_file') }}

),

final as (

    select
        cast(unit_id as bigint) as unit_id,
        cast(treated as integer) as treated,
        cast(age as integer) as age,
        cast(visits as integer) as visits,
        cast(spend as double) as spend
    from source

)

select * from final
