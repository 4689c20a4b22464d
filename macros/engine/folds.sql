{# Fold of a unit: the first 32 bits of md5('id:seed') modulo k; the same on every engine and in estimators/folds.py. #}

{% macro md5_fold(unit, seed, folds) %}
    {{- return(adapter.dispatch('md5_fold', 'cqox')(unit, seed, folds)) -}}
{% endmacro %}

{% macro duckdb__md5_fold(unit, seed, folds) -%}
    cast(cast('0x' || substr(md5({{ unit }} || ':' || '{{ seed }}'), 1, 8) as bigint) % {{ folds }} as integer)
{%- endmacro %}

{% macro postgres__md5_fold(unit, seed, folds) -%}
    cast(('x' || substr(md5({{ unit }} || ':' || '{{ seed }}'), 1, 8))::bit(32)::bigint % {{ folds }} as integer)
{%- endmacro %}

{% macro spark__md5_fold(unit, seed, folds) -%}
    cast(
        cast(conv(substr(md5(concat({{ unit }}, ':', '{{ seed }}')), 1, 8), 16, 10) as bigint) % {{ folds }} as integer
    )
{%- endmacro %}
