{#
    A table whose parts are run apart: a part that fails is one row of status `failed` with its reason, and the others stand
    (estimators/apart.py). The model's SQL is a union of `part` members; its config says, as `columns`, a mapping of name to
    type, what they give; status and status_reason are added. For dbt-duckdb alone, which runs its Python beside the engine.
#}
{% materialization each_study, adapter='duckdb', supported_languages=['sql'] %}
    {% set target_relation = this.incorporate(type='table') %}
    {% set building = make_intermediate_relation(target_relation) %}
    {% do drop_relation_if_exists(load_cached_relation(building)) %}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {# The table is made in a transaction of its own: one that reading columns has opened would not see it. #}
    {% call statement('opened') %}select 1{% endcall %}
    {{ adapter.commit() }}
    {% call statement('main', language='python') -%}
        {{ create_table_as(False, building, cqox.parts_job(sql, cqox.no_rows_of(config.get('columns'))), 'python') }}
    {%- endcall %}

    {% do drop_relation_if_exists(load_cached_relation(this)) %}
    {% do adapter.rename_relation(building, target_relation) %}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {% do persist_docs(target_relation, model) %}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}

{# One member of such a union. told: what its failed row holds, a mapping of column to text. #}
{% macro part(told, select) -%}
    /* part {{ tojson(told) | replace('*/', '*\\u002f') }} */
    {{ select }}
{%- endmacro %}

{# The Python that dbt runs; JSON in JSON, as a text between quotes in which every character is ASCII. #}
{% macro parts_job(sql, empty) -%}
import json


class dbtObj:
    def __init__(self, load_df_function):
        pass


def model(dbt, session):
    from estimators.apart import apart

    return apart(session, json.loads({{ tojson(tojson(sql)) }}), json.loads({{ tojson(tojson(empty)) }}))

{% endmacro %}

{# A query without rows. columns: mapping of name to text, double, bigint, boolean or timestamp. #}
{% macro no_rows_of(columns) -%}
    {%- set kinds = {'text': cqox.type_text(), 'double': cqox.type_double()} -%}
    select
        {% for name, kind in columns.items() %}
            cast(null as {{ kinds.get(kind, kind) }}) as {{ name }}{{ "," if not loop.last }}
        {% endfor %}
    where 1 = 0
{%- endmacro %}
