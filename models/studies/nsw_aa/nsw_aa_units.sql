with

controls as (

    select * from {{ ref('stg_causaldata__nsw') }}
    where treat = 0

),

-- nobody was treated: a coin decides, the same on every machine
final as (

    select
        * exclude (treat),
        {{ md5_fold('unit_id', var('seed'), 2) }} as coin
    from controls

)

select * from final
