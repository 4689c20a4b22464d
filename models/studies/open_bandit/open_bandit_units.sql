with

displays as (

    select * from {{ ref('stg_obp__random_men') }}

),

sampled as (

    select * from {{ ref('stg_obp__bts_men') }}

),

-- Thompson sampling sees neither the visitor nor the hour: how often it showed an item is the chance that it would
shown as (

    select
        place,
        item,
        count(*) * 1.0 / sum(count(*)) over (partition by place) as sampler_probability
    from sampled
    group by place, item

),

final as (

    select
        displays.*,
        coalesce(shown.sampler_probability, 0) as sampler_probability
    from displays
    left join shown
        on
            displays.place = shown.place
            and displays.item = shown.item

)

select * from final
