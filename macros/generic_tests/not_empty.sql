{# An empty model passes every row-wise test: this one fails on it. #}
{% test not_empty(model) %}
    {{ return(adapter.dispatch('test_not_empty', 'cqox')(model)) }}
{% endtest %}

{% macro default__test_not_empty(model) %}
    select counted.n
    from (select count(*) as n from {{ model }}) as counted
    where counted.n = 0
{% endmacro %}
