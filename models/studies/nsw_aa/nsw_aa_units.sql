with

controls as (

    select * from {{ ref('stg_causaldata__nsw') }}
    where treat = 0

),

-- nobody was treated: a coin decides, the same on every machine
final as (

    select
        * exclude (treat),
        -- stands for the order in which people came
        unit_id as row_in_file,
        {{ md5_fold('unit_id', var('seed'), 2) }} as coin
    from controls

)

select * from final
