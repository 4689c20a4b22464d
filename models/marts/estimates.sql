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
{% set effects = union_studies('effects', columns, 'estimated_at') or no_rows(columns, numbers, counts) %}

with

studies as (

    {{ listed_studies() }}

),

built as (

    {{ effects }}

),

failures as (

    {{ build_failures() }}

),

-- what is not there, or older than this build, is a row that says so
failed as (

    select
        {{ failed_estimate(columns, numbers, counts) }}
    from studies
    left join failures on studies.study = failures.study
    where studies.study not in (select built.study from built)

),

every as (

    select * from built
    union all
    select * from failed

),

-- what is told of a study is told of its primary outcome, unless a row asks for another; rows of an outcome that the
-- declaration no longer names are nobody's
final as (

    select
        every.*,
        case
            when every.is_primary then 'primary'
            else coalesce(outcomes.outcome_role, 'undeclared')
        end as outcome_role
    from every
    left join {{ ref('study_outcomes') }} as outcomes
        on
            every.study = outcomes.study
            and every.outcome = outcomes.outcome

)

select * from final
