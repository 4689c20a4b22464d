with

controls as (

    select * from {{ ref('stg_causaldata__nsw') }}
    where treat = 0

),

-- nobody was treated: a coin decides, the same on every machine
final as (

    select
        * exclude (treat),
        -- the coin is thrown for people as they came, so it hangs on the order of the file, and is the only number here that does
        {{ md5_fold('row_in_file', var('seed'), 2) }} as coin
    from controls

)

select * from final
