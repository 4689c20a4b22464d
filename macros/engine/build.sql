{# Which build this is. `make build` calls dbt twice and says so by environment, because two calls have two invocations. #}

{% macro build_id() %}{{ return(env_var('CQOX_BUILD_ID', invocation_id)) }}{% endmacro %}

{# Rows older than this are of an earlier build. Empty: a call of dbt by hand, which takes what is there. #}
{% macro build_started_at() %}{{ return(env_var('CQOX_BUILD_STARTED_AT', '')) }}{% endmacro %}

{# The clock in UTC, whatever the session's time zone. #}
{% macro utc_now() %}
    {{ return(modules.datetime.datetime.now(modules.pytz.utc).strftime('%Y-%m-%d %H:%M:%S.%f')) }}
{% endmacro %}

{% macro check_studies() %}
    {% if execute %}
        {% set known = [] %}
        {% for node in graph.nodes.values() if node.resource_type == 'model' and node.name.endswith('_effects') %}
            {% do known.append(node.name[:-8]) %}
        {% endfor %}
        {% for study in var('studies') if study not in known %}
            {% do exceptions.raise_compiler_error(
                "vars: cqox: studies names '" ~ study ~ "', but there is no enabled model '" ~ study
                ~ "_effects'. Known: " ~ (known | sort | join(', ')) ~ ". Add its models or take it off the list."
            ) %}
        {% endfor %}
    {% endif %}
{% endmacro %}
