{# Values outside [least, most], NULL included: NULL passes a bare `where not`, so it is spelt out. #}
{% test in_range(model, column_name, least=none, most=none, allow_null=false) %}
    {{ return(adapter.dispatch('test_in_range', 'cqox')(model, column_name, least, most, allow_null)) }}
{% endtest %}

{% macro default__test_in_range(model, column_name, least, most, allow_null) %}
    {% set null_passes = allow_null | string | lower %}
    select {{ column_name }} as value
    from {{ model }}
    where
        {% if least is not none %}not coalesce({{ column_name }} >= {{ least }}, {{ null_passes }}){% else %}1 = 0{% endif %}
        or {% if most is not none %}not coalesce({{ column_name }} <= {{ most }}, {{ null_passes }}){% else %}1 = 0{% endif %}
{% endmacro %}
