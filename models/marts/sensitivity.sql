{% set effects = union_studies(
    'effects', ['study', 'estimator', 'specification', 'estimand', 'sensitivity'], 'estimated_at'
) %}

with

effects as (

    {{ effects or no_json_rows('sensitivity') }}

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
        unnested.study,
        unnested.estimator,
        unnested.specification,
        unnested.estimand,
        unnested.row_.method,
        unnested.row_.subject,
        unnested.row_.value,
        unnested.row_.reading
    from unnested

)

select * from final
