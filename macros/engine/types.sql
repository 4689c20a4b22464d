{# The few words that engines spell differently. Everything else in macros/ is the common subset. #}

{% macro type_double() %}{{ return(adapter.dispatch('type_double', 'cqox')()) }}{% endmacro %}
{% macro default__type_double() %}double precision{% endmacro %}
{% macro duckdb__type_double() %}double{% endmacro %}
{% macro spark__type_double() %}double{% endmacro %}

{% macro type_text() %}{{ return(adapter.dispatch('type_text', 'cqox')()) }}{% endmacro %}
{% macro default__type_text() %}text{% endmacro %}
{% macro duckdb__type_text() %}varchar{% endmacro %}
{% macro spark__type_text() %}string{% endmacro %}

{% macro null_text() %}cast(null as {{ cqox.type_text() }}){% endmacro %}

{% macro null_double() %}cast(null as {{ cqox.type_double() }}){% endmacro %}

{% macro as_text(expression) %}cast({{ expression }} as {{ cqox.type_text() }}){% endmacro %}
