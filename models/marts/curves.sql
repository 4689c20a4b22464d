{% set effects = union_studies('effects', ['study', 'estimator', 'specification', 'estimand', 'curves'], 'estimated_at') %}

with

effects as (

    {{ effects or "select null as study, null as estimator, null as specification, null as estimand, '[]' as curves" }}

),

unnested as (

    select
        study,
        estimator,
        specification,
        estimand,
        {{ json_rows('curves', {
            'curve': 'VARCHAR', 'series': 'VARCHAR', 'x': 'DOUBLE', 'x_label': 'VARCHAR', 'y': 'DOUBLE',
            'conf_low': 'DOUBLE', 'conf_high': 'DOUBLE'
        }) }} as row_
    from effects

),

estimated as (

    select
        study,
        estimator,
        specification,
        estimand,
        row_.curve as curve,
        row_.series as series,
        row_.x as x,
        row_.x_label as x_label,
        row_.y as y,
        row_.conf_low as conf_low,
        row_.conf_high as conf_high
    from unnested

),

histograms as (

    {{ propensity_histograms() }}

),

final as (

    select * from estimated
    union all
    select * from histograms

)

select * from final
