{% test unique_combination(model, columns) %}
    {{ return(adapter.dispatch('test_unique_combination', 'cqox')(model, columns)) }}
{% endtest %}

{% macro default__test_unique_combination(model, columns) %}
    select
        {{ columns | join(',\n        ') }},
        count(*) as copies
    from {{ model }}
    group by {{ columns | join(', ') }}
    having count(*) > 1
{% endmacro %}
