{# Which build this is. `make build` calls dbt twice and says so by environment, because two calls have two invocations. #}

{% macro build_id() %}{{ return(env_var('CQOX_BUILD_ID', invocation_id)) }}{% endmacro %}

{# Rows older than this are of an earlier build. Empty: a call of dbt by hand, which takes what is there. #}
{% macro build_started_at() %}{{ return(env_var('CQOX_BUILD_STARTED_AT', '')) }}{% endmacro %}

{# The clock in UTC, whatever the session's time zone. #}
{% macro utc_now() %}
    {{ return(modules.datetime.datetime.now(modules.pytz.utc).strftime('%Y-%m-%d %H:%M:%S.%f')) }}
{% endmacro %}
