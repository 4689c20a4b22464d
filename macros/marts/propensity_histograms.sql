{# Units by propensity and arm, in twenty bins: one curve a study that has scores of this build. #}
{% macro propensity_histograms() %}
    {% set selects = [] %}
    {% for study in var('studies') if execute %}
        {% set scores = cqox.built_table(study ~ '_scores') %}
        {% if scores is not none %}{% do selects.append(cqox.propensity_histogram(study, scores)) %}{% endif %}
    {% endfor %}
    {{ selects | join('\nunion all\n') if selects else cqox.no_curves() }}
{% endmacro %}

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
    group by treatment, least(floor(propensity * 20), 19)
{% endmacro %}

{% macro no_curves() %}
    select
        {{ cqox.null_text() }} as study,
        {{ cqox.null_text() }} as estimator,
        {{ cqox.null_text() }} as specification,
        {{ cqox.null_text() }} as estimand,
        {{ cqox.null_text() }} as curve,
        {{ cqox.null_text() }} as series,
        {{ cqox.null_double() }} as x,
        {{ cqox.null_text() }} as x_label,
        {{ cqox.null_double() }} as y,
        {{ cqox.null_double() }} as conf_low,
        {{ cqox.null_double() }} as conf_high
    where 1 = 0
{% endmacro %}
