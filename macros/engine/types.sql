{# The few words that engines spell differently. Everything else in macros/ is the common subset. #}

{% macro type_double() %}{{ return(adapter.dispatch('type_double', 'cqox')()) }}{% endmacro %}
{% macro default__type_double() %}double precision{% endmacro %}
{% macro duckdb__type_double() %}double{% endmacro %}
{% macro spark__type_double() %}double{% endmacro %}

{% macro type_text() %}{{ return(adapter.dispatch('type_text', 'cqox')()) }}{% endmacro %}
{% macro default__type_text() %}text{% endmacro %}
{% macro duckdb__type_text() %}varchar{% endmacro %}
{% macro spark__type_text() %}string{% endmacro %}

{# Text between quotes, in the engine's way of escaping them. #}
{% macro text_literal(text) %}{{ return(adapter.dispatch('text_literal', 'cqox')(text)) }}{% endmacro %}
{% macro default__text_literal(text) %}{{ return("'" ~ (text | string | replace("'", "''")) ~ "'") }}{% endmacro %}
{# Spark reads a backslash as an escape, and '' as the end of one text and the begin of the next. #}
{% macro spark__text_literal(text) %}
    {{ return("'" ~ (text | string | replace("\\", "\\\\") | replace("'", "\\'")) ~ "'") }}
{% endmacro %}

{# A column's name between the engine's quotes, which it may contain itself: adapter.quote does not double them. #}
{% macro quoted(name) %}{{ return(adapter.dispatch('quoted', 'cqox')(name)) }}{% endmacro %}
{% macro default__quoted(name) %}{{ return('"' ~ (name | string | replace('"', '""')) ~ '"') }}{% endmacro %}
{% macro spark__quoted(name) %}{{ return('`' ~ (name | string | replace('`', '``')) ~ '`') }}{% endmacro %}

{% macro null_text() %}cast(null as {{ cqox.type_text() }}){% endmacro %}

{% macro null_double() %}cast(null as {{ cqox.type_double() }}){% endmacro %}

{% macro as_text(expression) %}cast({{ expression }} as {{ cqox.type_text() }}){% endmacro %}
