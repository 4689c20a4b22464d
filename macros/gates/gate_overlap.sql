{# Overlap: the share of the target population whose propensity leaves both arms possible. #}
{% macro gate_overlap(scores) %}
    {% set limit = cqox.gate_threshold('overlap') %}
    {% set low, high = var('propensity_bounds')[0], var('propensity_bounds')[1] %}
    {% set sql %}
        select
            'overlap' as gate,
            'propensity' as subject,
            estimand,
            {{ cqox.null_text() }} as estimator,
            value,
            cast({{ limit }} as {{ cqox.type_double() }}) as threshold,
            coalesce(value > {{ limit }}, false) as is_passing,
            coalesce(
                {{ cqox.format_number('100 * value', 1) }} || ' % of '
                || case
                    when estimand = 'ATT' then 'the treated have a propensity below {{ high }}'
                    else 'the units have a propensity between {{ low }} and {{ high }}'
                end,
                'no propensities: the scores are empty'
            ) as reason
        from ({{ cqox.overlap_share(scores, 'treatment', 'propensity', low, high) }}) as shares
    {% endset %}
    {{ return(sql) }}
{% endmacro %}
