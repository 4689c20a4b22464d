{# Schemas keep their bare names (staging, studies, marts): one warehouse, one environment a file or database. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}
