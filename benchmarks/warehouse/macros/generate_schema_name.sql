{# dbt takes this macro from the root project only, so a project that installs cqox hands it on: marts land in `marts`. #}
{% macro generate_schema_name(custom_schema_name, node) %}
    {{- return(cqox.generate_schema_name(custom_schema_name, node)) -}}
{% endmacro %}
