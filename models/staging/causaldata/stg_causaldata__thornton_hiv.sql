with

source as (

    select * from {{ source('causaldata', 'thornton_hiv') }}

),

final as (

    select
        cast(file_row_number + 1 as bigint) as unit_id,
        cast(villnum as integer) as village,
        cast(got as integer) as learned,
        cast("any" as integer) as incentive,
        cast(tinc as double) as incentive_usd,
        cast(distvct as double) as distance,
        cast(age as integer) as age,
        cast(nullif(hiv2004, -1) as integer) as hiv_positive
    from source

)

select * from final
