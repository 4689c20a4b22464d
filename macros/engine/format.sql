{# A number as text for a reason; the numeric column beside it keeps full precision. #}

{% macro format_number(expression, digits=3) %}
    {{- return(adapter.dispatch('format_number', 'cqox')(expression, digits)) -}}
{% endmacro %}

{% macro default__format_number(expression, digits) -%}
    cast(cast({{ expression }} as decimal(28, {{ digits }})) as {{ cqox.type_text() }})
{%- endmacro %}

{% macro duckdb__format_number(expression, digits) -%}
    {#- a small negative number would be printed as -0.000 -#}
    regexp_replace(printf('%.{{ digits }}f', cast({{ expression }} as double)), '^-([0.]+)$', '\1')
{%- endmacro %}

{% macro spark__format_number(expression, digits) -%}
    regexp_replace(format_string('%.{{ digits }}f', cast({{ expression }} as double)), '^-([0.]+)$', '$1')
{%- endmacro %}

{# Four significant digits, for sentences. #}
{% macro format_significant(expression) %}
    {{- return(adapter.dispatch('format_significant', 'cqox')(expression)) -}}
{% endmacro %}

{% macro default__format_significant(expression) -%}
    {{ cqox.format_number(expression, 4) }}
{%- endmacro %}

{% macro duckdb__format_significant(expression) -%}
    (
        case
            when abs({{ expression }}) >= 1000 then format('{:,.0f}', cast({{ expression }} as double))
            else printf('%.4g', cast({{ expression }} as double))
        end
    )
{%- endmacro %}
