with

source as (

    select * from {{ source('obp', 'random_men') }}

),

final as (

    select
        cast(file_row_number + 1 as bigint) as display_id,
        cast(item_id as integer) as item,
        cast(position as integer) as place,
        cast(click as integer) as clicked,
        cast(propensity_score as double) as item_probability,
        cast(user_feature_0 as varchar) as visitor_group
    from source

)

select * from final
