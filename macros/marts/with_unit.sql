{#
    A number and its unit in a sentence: `zero`, `1 point`, `0.05 in the share who buy`, `500 USD`.
    expression: SQL of the number. unit: SQL of the unit; NULL where there is none.
#}
{% macro with_unit(expression, unit) -%}
    (
        case
            when {{ expression }} = 0 then 'zero'
            when {{ unit }} is null then {{ cqox.format_significant(expression) }}
            when {{ unit }} like 'share %' then {{ cqox.format_significant(expression) }} || ' in the ' || {{ unit }}
            when abs({{ expression }}) = 1 and {{ unit }} like 'percentage points%'
                then {{ cqox.format_significant(expression) }} || replace({{ unit }}, 'percentage points', ' percentage point')
            when abs({{ expression }}) = 1 and strpos(split_part({{ unit }}, ' ', 1), 's') > 1
                then {{ cqox.format_significant(expression) }} || ' ' || rtrim(split_part({{ unit }}, ' ', 1), 's')
                    || substr({{ unit }}, length(split_part({{ unit }}, ' ', 1)) + 1)
            else {{ cqox.format_significant(expression) }} || ' ' || {{ unit }}
        end
    )
{%- endmacro %}

{# An interval in square brackets, or empty text where an end is missing. #}
{% macro as_interval(low, high) -%}
    coalesce('[' || {{ cqox.format_significant(low) }} || ', ' || {{ cqox.format_significant(high) }} || ']', '')
{%- endmacro %}

{# A share as per cent with one digit. #}
{% macro as_percent(expression) -%}
    ({{ cqox.format_number('100 * (' ~ expression ~ ')', 1) }} || ' %')
{%- endmacro %}
