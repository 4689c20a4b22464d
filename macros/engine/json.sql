{# JSON text as rows on Spark; DuckDB's own stands beside the marts that use it (macros/marts/union_studies.sql). #}

{% macro spark__json_rows(column, fields) -%}
    {%- set typed = [] -%}
    {%- for name, kind in fields.items() -%}
        {%- do typed.append(name ~ ': ' ~ (cqox.type_text() if kind == 'VARCHAR' else kind)) -%}
    {%- endfor -%}
    explode(from_json({{ column }}, 'array<struct<{{ typed | join(', ') }}>>'))
{%- endmacro %}
