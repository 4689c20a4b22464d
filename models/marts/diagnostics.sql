{% set effects = union_studies(
    'effects', ['study', 'estimator', 'specification', 'estimand', 'diagnostics'], 'estimated_at'
) %}

with

effects as (

    {{ effects or no_json_rows('diagnostics') }}

),

unnested as (

    select
        study,
        estimator,
        specification,
        estimand,
        {{ json_rows('diagnostics', {
            'metric': 'VARCHAR', 'subject': 'VARCHAR', 'value': 'DOUBLE', 'threshold': 'DOUBLE', 'is_passing': 'BOOLEAN'
        }) }} as row_
    from effects

),

final as (

    select
        unnested.study,
        unnested.estimator,
        unnested.specification,
        unnested.estimand,
        unnested.row_.metric,
        unnested.row_.subject,
        unnested.row_.value,
        unnested.row_.threshold,
        unnested.row_.is_passing
    from unnested

)

select * from final
