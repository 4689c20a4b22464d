with

source as (

    select * from {{ source('obp', 'random_men') }}

),

renamed as (

    select
        cast(item_id as integer) as item,
        cast(position as integer) as place,
        cast(click as integer) as clicked,
        cast(propensity_score as double) as item_probability,
        cast(user_feature_0 as varchar) as visitor_group
    from source

),

final as (

    select
        -- the file has no id: one from the content, whatever the order of the rows
        {{ content_id('renamed') }} as display_id,
        *
    from renamed

)

select * from final
