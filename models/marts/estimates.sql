{% set columns = [
    'study', 'estimator', 'specification', 'estimand', 'outcome', 'treatment', 'contrast', 'term', 'estimate', 'std_error',
    'statistic', 'degrees_of_freedom', 'p_value', 'conf_low', 'conf_high', 'conf_level', 'n_units', 'n_treated',
    'n_clusters', 'n_trimmed', 'effective_sample_size', 'variance_estimator', 'engine', 'status', 'status_reason',
    'is_primary', 'seconds', 'spec_hash', 'code_hash', 'data_hash', 'estimated_at',
] %}
{% set numbers = [
    'estimate', 'std_error', 'statistic', 'degrees_of_freedom', 'p_value', 'conf_low', 'conf_high', 'conf_level', 'seconds',
    'effective_sample_size',
] %}
{% set counts = ['n_units', 'n_treated', 'n_clusters', 'n_trimmed'] %}
{% set effects = union_studies('effects', columns, 'estimated_at') %}

with

studies as (

    {{ listed_studies() }}

),

{% if effects %}
built as (

    {{ effects }}

),
{% endif %}

failures as (

    {{ build_failures() }}

),

-- what is not there, or older than this build, is a row that says so
failed as (

    select
        studies.study,
        {%- for column in columns if column != 'study' %}
            {%- if column == 'status' %}
                'failed' as status,
            {%- elif column == 'status_reason' %}
                coalesce(
                    'the study was not built: ' || failures.reason,
                    'the study was not built in this build: run dbt build --select +' || studies.study || '_effects'
                ) as status_reason,
            {%- elif column in ['estimator', 'specification', 'estimand', 'contrast', 'term', 'outcome', 'treatment'] %}
                'none' as {{ column }},
            {%- elif column == 'is_primary' %}
                true as is_primary,
            {%- elif column == 'estimated_at' %}
                cast(null as timestamp) as estimated_at
            {%- elif column in numbers %}
                {{ null_double() }} as {{ column }},
            {%- elif column in counts %}
                cast(null as bigint) as {{ column }},
            {%- else %}
                {{ null_text() }} as {{ column }},
            {%- endif %}
        {%- endfor %}
    from studies
    left join failures on studies.study = failures.study
    {% if effects %}
        where studies.study not in (select built.study from built)
    {% endif %}

),

final as (

    {% if effects %}
        select * from built
        union all
    {% endif %}
    select * from failed

)

select * from final
