with

source as (

    select * from {{ source('causaldata', 'social_insure') }}

),

renamed as (

    select
        cast(address as varchar) as address,
        cast(village as varchar) as village,
        cast(takeup_survey as integer) as insured,
        cast(pre_takeup_rate as double) as friends_insured,
        cast("default" as integer) as default_buy,
        cast(intensive as integer) as intensive,
        cast(male as integer) as male,
        cast(age as double) as age,
        cast(agpop as double) as household_size,
        cast(ricearea_2010 as double) as rice_area,
        cast(literacy as double) as literate,
        cast(risk_averse as double) as risk_averse,
        cast(disaster_prob as double) as disaster_chance
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
