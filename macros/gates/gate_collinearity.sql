{# Collinearity: VIF of the treatment given the covariates blocks; VIF among covariates harms nobody and is information. #}
{% macro gate_collinearity(block, units) %}
    {% set columns = cqox.term_expressions(units, block.get('covariates') or []) %}
    {% do columns.append({'name': block['treatment'], 'sql': cqox.bounded(cqox.as_number(block['treatment']))}) %}
    {% set last = columns | length - 1 %}
    {% set limit = cqox.gate_threshold('collinearity') %}
    {% set among = cqox.gate_threshold('covariate_collinearity') %}
    {% set sql %}
        select
            case when position = {{ last }} then 'collinearity' else 'covariate_collinearity' end as gate,
            subject,
            {{ cqox.null_text() }} as estimand,
            {{ cqox.null_text() }} as estimator,
            value,
            cast(case when position = {{ last }} then {{ limit }} else {{ among }} end as {{ cqox.type_double() }})
                as threshold,
            coalesce(value < case when position = {{ last }} then {{ limit }} else {{ among }} end, false) as is_passing,
            coalesce(
                'the variance inflation factor of ' || subject || ' is ' || {{ cqox.format_number('value', 2) }},
                'the other columns explain ' || subject || ' completely'
            ) as reason
        from ({{ cqox.variance_inflation(units, columns) }}) as factors
    {% endset %}
    {{ return(sql) }}
{% endmacro %}
