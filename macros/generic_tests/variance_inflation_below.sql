{#
    Columns whose variance inflation factor is not below the threshold, an infinite one included: that of the treatment given
    the covariates; with `among`, those among the covariates too. terms as in a study block.
#}
{% test variance_inflation_below(model, treatment, terms, threshold=10, among=false) %}
    {{ return(adapter.dispatch('test_variance_inflation_below', 'cqox')(model, treatment, terms, threshold, among)) }}
{% endtest %}

{% macro default__test_variance_inflation_below(model, treatment, terms, threshold, among) %}
    {% if not execute %}{{ return('select 1 as parsed') }}{% endif %}
    {% set columns = cqox.term_expressions(model, terms) %}
    {% do columns.append({'name': treatment, 'sql': cqox.as_number(treatment)}) %}
    select
        subject,
        value
    from ({{ cqox.variance_inflation(model, columns) }}) as factors
    where
        not coalesce(value < {{ threshold }}, false)
        {% if not among %}and position = {{ columns | length - 1 }}{% endif %}
{% endmacro %}
