with

source as (

    select * from {{ source('causaldata', 'thornton_hiv') }}

),

renamed as (

    select
        cast(villnum as integer) as village,
        cast(got as integer) as learned,
        cast("any" as integer) as incentive,
        cast(tinc as double) as incentive_usd,
        cast(distvct as double) as distance,
        cast(age as integer) as age,
        cast(nullif(hiv2004, -1) as integer) as hiv_positive
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
