{% set columns = [
    'study', 'gate', 'subject', 'estimand', 'estimator', 'value', 'threshold', 'is_passing', 'blocks', 'severity', 'reason',
    'remedy',
] %}
{% set gates = union_studies('gates', columns, "cast(checked_at as timestamp)") %}

with

studies as (

    {{ listed_studies() }}

),

{% if gates %}
judged as (

    {{ gates }}

),
{% endif %}

failures as (

    {{ build_failures() }}

),

-- a study whose gates were not judged has failed, closed
failed as (

    select
        studies.study,
        'build' as gate,
        'gates' as subject,
        {{ null_text() }} as estimand,
        {{ null_text() }} as estimator,
        {{ null_double() }} as value,
        {{ null_double() }} as threshold,
        false as is_passing,
        true as blocks,
        'error' as severity,
        coalesce(failures.reason, 'the gates were not judged in this build') as reason,
        'Mend the model that failed; marts.build_log and target/run_results.json have its message' as remedy
    from studies
    left join failures on studies.study = failures.study
    {% if gates %}
        where studies.study not in (select judged.study from judged)
    {% endif %}

),

final as (

    {% if gates %}
        select * from judged
        union all
    {% endif %}
    select * from failed

)

select * from final
