{# Effective sample size: what the weights leave of the smaller arm (Kish 1965). #}
{% macro gate_effective_sample_size(scores) %}
    {% set limit = cqox.gate_threshold('effective_sample_size') %}
    {% set told = cqox.scores_told(scores) %}
    {% set sql %}
        select
            'effective_sample_size' as gate,
            'smaller arm' as subject,
            estimand,
            estimator,
            value,
            cast({{ limit }} as {{ cqox.type_double() }}) as threshold,
            coalesce(value >= {{ limit }}, false) as is_passing,
            coalesce(
                'the weights leave ' || {{ cqox.format_number('value', 1) }} || ' effective units in the smaller arm',
                case
                    {%- for w in cqox.score_weights() %}
                        when estimator = '{{ w.estimator }}' and estimand = '{{ w.estimand }}'
                            then {{ cqox.words_without(told, w.estimator, w.estimand)[0] }}
                    {%- endfor %}
                end
            ) as reason,
            case
                when value is not null then null
                {%- for w in cqox.score_weights() %}
                    when estimator = '{{ w.estimator }}' and estimand = '{{ w.estimand }}'
                        then {{ cqox.words_without(told, w.estimator, w.estimand)[1] }}
                {%- endfor %}
            end as remedy
        from ({{ cqox.effective_sample_sizes(scores, 'treatment', cqox.score_weights()) }}) as sizes
    {% endset %}
    {{ return(sql) }}
{% endmacro %}
