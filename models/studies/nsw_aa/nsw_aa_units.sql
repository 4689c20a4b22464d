with

controls as (

    select * from {{ ref('stg_causaldata__nsw') }}
    where treat = 0

),

-- nobody was treated: a coin decides, the same on every machine
final as (

    select
        * exclude (treat),
        -- thrown for people as they came: by the order of the file, which is read as that of arrival
        {{ md5_fold('row_in_file', var('seed'), 2) }} as coin
    from controls

)

select * from final
