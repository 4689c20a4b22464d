{#
    Balance: the standardised mean difference of every covariate column, raw (information) and under the weights of each
    weighting or matching estimator for its estimand (blocks that pair).
#}
{% macro gate_balance(block, units, scores) %}
    {% set columns = cqox.term_expressions(units, block.get('covariates') or []) %}
    {% set weights = [{'column': none, 'estimand': none, 'estimator': none}] + cqox.score_weights() %}
    {% set joined = cqox.balance_input(block, units, scores) %}
    {% set limit = cqox.gate_threshold('balance') %}
    {% set raw_limit = cqox.gate_threshold('raw_balance') %}
    {% set sql %}
        select
            case when estimator is null then 'raw_balance' else 'balance' end as gate,
            subject,
            estimand,
            estimator,
            value,
            cast(case when estimator is null then {{ raw_limit }} else {{ limit }} end as {{ cqox.type_double() }})
                as threshold,
            coalesce(abs(value) < case when estimator is null then {{ raw_limit }} else {{ limit }} end, false)
                as is_passing,
            coalesce(
                case when estimator is null then 'raw' else 'weighted' end
                || ' difference of ' || subject || ' is ' || {{ cqox.format_number('value', 3) }}
                || ' standard deviations',
                'the difference of ' || subject || ' could not be computed: no weights, or an arm is empty'
            ) as reason
        from ({{ cqox.standardised_differences(joined, 'treatment', columns, weights) }}) as differences
    {% endset %}
    {{ return(sql) }}
{% endmacro %}

{# The weights that the scores table carries. #}
{% macro score_weights() %}
    {% set out = [] %}
    {% for estimator, estimands in [
        ('ipw', ['ATE', 'ATT', 'ATO']), ('psm', ['ATE', 'ATT']), ('stratification', ['ATE', 'ATT'])
    ] %}
        {% for estimand in estimands %}
            {% do out.append({
                'column': 'weight_' ~ estimator ~ '_' ~ (estimand | lower), 'estimand': estimand, 'estimator': estimator
            }) %}
        {% endfor %}
    {% endfor %}
    {{ return(out) }}
{% endmacro %}

{# Scores beside the units' covariates. #}
{% macro balance_input(block, units, scores) %}
    {% set unit = block.get('unit', 'unit_id') %}
    {% set names = cqox.columns_of_terms(block.get('covariates') or []) %}
    {% set picked = [] %}
    {% for name in names %}{% do picked.append('units.' ~ adapter.quote(name)) %}{% endfor %}
    {% for w in cqox.score_weights() %}{% do picked.append('scores.' ~ w.column) %}{% endfor %}
    {{ return(
        '(select scores.treatment as treatment, ' ~ picked | join(', ') ~ ' from ' ~ scores ~ ' as scores inner join '
        ~ units ~ ' as units on ' ~ cqox.as_text('scores.unit_id') ~ ' = '
        ~ cqox.as_text('units.' ~ adapter.quote(unit)) ~ ') as scored'
    ) }}
{% endmacro %}
