{# Effective sample size: what the weights leave of the smaller arm (Kish 1965). #}
{% macro gate_effective_sample_size(scores) %}
    {% set limit = gate_threshold('effective_sample_size') %}
    {% set sql %}
        select
            'effective_sample_size' as gate,
            'smaller arm' as subject,
            estimand,
            estimator,
            value,
            cast({{ limit }} as {{ type_double() }}) as threshold,
            coalesce(value >= {{ limit }}, false) as is_passing,
            coalesce(
                'the weights leave ' || {{ format_number('value', 1) }} || ' effective units in the smaller arm',
                'no weights: the scores are empty or the estimator refuses'
            ) as reason
        from ({{ effective_sample_sizes(scores, 'treatment', score_weights()) }}) as sizes
    {% endset %}
    {{ return(sql) }}
{% endmacro %}
