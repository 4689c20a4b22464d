{% set columns = [
    'study', 'gate', 'subject', 'estimand', 'estimator', 'value', 'threshold', 'is_passing', 'blocks', 'severity', 'reason',
    'remedy',
] %}
{% set gates = union_studies('gates', columns, 'checked_at')
    or no_rows(columns, ['value', 'threshold'], [], ['is_passing', 'blocks']) %}

with

studies as (

    {{ listed_studies() }}

),

judged as (

    {{ gates }}

),

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
        'Mend the file or the model that failed and build again; marts.build_log has its message' as remedy
    from studies
    left join failures on studies.study = failures.study
    where studies.study not in (select judged.study from judged)

),

final as (

    select * from judged
    union all
    select * from failed

)

select * from final
