{% set effects = union_studies(
    'effects', ['study', 'estimator', 'specification', 'estimand', 'diagnostics'], 'estimated_at'
) %}

with

effects as (

    {{ effects or "select null as study, null as estimator, null as specification, null as estimand, '[]' as diagnostics" }}

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
        study,
        estimator,
        specification,
        estimand,
        row_.metric as metric,
        row_.subject as subject,
        row_.value as value,
        row_.threshold as threshold,
        row_.is_passing as is_passing
    from unnested

)

select * from final
