{# SHA-256 of text as 64 hexadecimal digits. #}
{% macro sha256_text(expression) %}{{ return(adapter.dispatch('sha256_text', 'cqox')(expression)) }}{% endmacro %}
{% macro default__sha256_text(expression) %}encode(sha256(convert_to({{ expression }}, 'UTF8')), 'hex'){% endmacro %}
{% macro duckdb__sha256_text(expression) %}sha256({{ expression }}){% endmacro %}
{% macro spark__sha256_text(expression) %}sha2({{ expression }}, 256){% endmacro %}
