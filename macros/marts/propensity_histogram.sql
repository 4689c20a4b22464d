{# Units of one study by propensity and arm, in twenty bins. #}
{% macro propensity_histogram(study, scores) %}
    select
        {{ cqox.as_text("'" ~ study ~ "'") }} as study,
        'scores' as estimator,
        'default' as specification,
        {{ cqox.null_text() }} as estimand,
        'propensity_histogram' as curve,
        case when treatment = 1 then 'treated' else 'control' end as series,
        0.025 + 0.05 * least(floor(propensity * 20), 19) as x,
        {{ cqox.null_text() }} as x_label,
        cast(count(*) as {{ cqox.type_double() }}) as y,
        {{ cqox.null_double() }} as conf_low,
        {{ cqox.null_double() }} as conf_high
    from {{ scores }}
    -- a study without scores has one row, which says why
    where propensity is not null
    group by treatment, least(floor(propensity * 20), 19)
{% endmacro %}
