{% set effects = union_studies(
    'effects', ['study', 'estimator', 'specification', 'estimand', 'curves'], 'estimated_at'
) %}

with

effects as (

    {{ effects or no_json_rows('curves') }}

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
        unnested.study,
        unnested.estimator,
        unnested.specification,
        unnested.estimand,
        unnested.row_.curve,
        unnested.row_.series,
        unnested.row_.x,
        unnested.row_.x_label,
        unnested.row_.y,
        unnested.row_.conf_low,
        unnested.row_.conf_high
    from unnested

),

histograms as (

    {{ propensity_histograms() }}

),

final as (

    select * from estimated
    union all
    -- scores carry no time: they are of this build where the effects, which hang on them, are
    select * from histograms
    where histograms.study in (select effects.study from effects)

)

select * from final
