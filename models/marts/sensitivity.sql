{% set effects = union_studies(
    'effects', ['study', 'estimator', 'specification', 'estimand', 'sensitivity'], 'estimated_at'
) %}

with

effects as (

    {{ effects or "select null as study, null as estimator, null as specification, null as estimand, '[]' as sensitivity" }}

),

unnested as (

    select
        study,
        estimator,
        specification,
        estimand,
        {{ json_rows('sensitivity', {
            'method': 'VARCHAR', 'subject': 'VARCHAR', 'value': 'DOUBLE', 'reading': 'VARCHAR'
        }) }} as row_
    from effects

),

final as (

    select
        study,
        estimator,
        specification,
        estimand,
        row_.method as method,
        row_.subject as subject,
        row_.value as value,
        row_.reading as reading
    from unnested

)

select * from final
