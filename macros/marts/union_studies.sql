{#
    Rows of one table of every study of the list, as a union. A table that is not there, or is older than this build, is left
    out: the marts then write a `failed` row, and never last build's rows as if they were new.
    time_column: when the table's rows were made.
#}
{% macro union_studies(suffix, columns, time_column) %}
    {% if not var('studies') %}
        {% do exceptions.raise_compiler_error(
            "the list `vars: studies` is empty: nothing would be built. Name at least one study, e.g. studies: [nsw]."
        ) %}
    {% endif %}
    {% set relations = [] %}
    {% for study in var('studies') %}
        {% do relations.append(ref(study ~ '_' ~ suffix)) %}
    {% endfor %}
    {% if not execute %}{{ return('select 1 as parsed') }}{% endif %}
    {% set selects = [] %}
    {% for relation in relations %}
        {% if cqox.has_columns(relation, columns + [time_column]) %}
            {% do selects.append(
                'select ' ~ columns | join(', ') ~ ' from ' ~ relation ~ cqox.since_build_started(time_column)
            ) %}
        {% endif %}
    {% endfor %}
    {{ return(selects | join('\nunion all\n') if selects else none) }}
{% endmacro %}

{# Whether a table is there with these columns: one of an earlier version may lack some, and must not cost all studies. #}
{% macro has_columns(relation, columns) %}
    {% if load_relation(relation) is none %}{{ return(false) }}{% endif %}
    {% set present = adapter.get_columns_in_relation(relation) | map(attribute='name') | list %}
    {{ return(columns | reject('in', present) | list | length == 0) }}
{% endmacro %}

{# The listed studies whose effects are of this build, as a list; their other tables were read by it a moment ago. #}
{% macro studies_of_this_build() %}
    {% set effects = cqox.union_studies('effects', ['study'], 'estimated_at') %}
    {% if not execute or effects is none %}{{ return([]) }}{% endif %}
    {% set found = run_query('select distinct study from (' ~ effects ~ ') as built').columns[0].values() %}
    {{ return(var('studies') | select('in', found) | list) }}
{% endmacro %}

{% macro since_build_started(time_column) %}
    {% set started = cqox.build_started_at() %}
    {{ return(' where ' ~ time_column ~ " >= timestamp '" ~ started ~ "'" if started else '') }}
{% endmacro %}

{# The studies of the list as a relation of one column. #}
{% macro listed_studies() %}
    {% for study in var('studies') %}
        select {{ cqox.as_text("'" ~ study ~ "'") }} as study {{ "union all" if not loop.last }}
    {% endfor %}
{% endmacro %}

{#
    Why a study has no rows of this build: the errors of this build among the nodes that it hangs on, and the files that
    those read. study, reason.
#}
{% macro build_failures() %}
    {% set log = load_relation(cqox.build_log_relation()) if execute else none %}
    {% for study in var('studies') %}
        select
            {{ cqox.as_text("'" ~ study ~ "'") }} as study,
            {%- if log is none %}
                {{ cqox.null_text() }} as reason
            {%- else %}
                (
                    -- the engine's picture of the line is left out
                    select
                        min(node || ': ' || trim(replace(split_part(message, 'LINE ', 1), chr(10), ' ')))
                        || '{{ cqox.files_of(study) }}'
                    from {{ log }}
                    where
                        build_id = '{{ cqox.build_id() }}'
                        and status in ('error', 'fail')
                        and node in ({{ cqox.ancestors_of(study) }})
                ) as reason
            {%- endif %}
        {{ "union all" if not loop.last }}
    {% endfor %}
{% endmacro %}

{# The files below a study as the end of a sentence inside quotes; nothing where its sources are tables. #}
{% macro files_of(study) %}
    {% set ancestors = cqox.ancestors_of(study) %}
    {% set files = [] %}
    {% for source in graph.sources.values() if "'" ~ source.unique_id ~ "'" in ancestors %}
        {% set file = (source.config.meta or {}).get('external_location') %}
        {% if file %}{% do files.append(file | replace("'", "''")) %}{% endif %}
    {% endfor %}
    {{ return('; it reads ' ~ files | join(', ') if files else '') }}
{% endmacro %}

{# Quoted unique ids of a study's effects, all that it hangs on, and the tests of those. #}
{% macro ancestors_of(study) %}
    {% set found = [] %}
    {% for node in graph.nodes.values() if node.name == study ~ '_effects' %}{% do found.append(node.unique_id) %}{% endfor %}
    {% for id in found %}
        {% for parent in graph.nodes.get(id, {}).get('depends_on', {}).get('nodes', []) %}
            {% if parent not in found %}{% do found.append(parent) %}{% endif %}
        {% endfor %}
    {% endfor %}
    {% set tests = [] %}
    {% for node in graph.nodes.values() if node.resource_type == 'test' %}
        {% for parent in node.depends_on.nodes if parent in found %}{% do tests.append(node.unique_id) %}{% endfor %}
    {% endfor %}
    {{ return("'" ~ (found + tests) | unique | join("', '") ~ "'") }}
{% endmacro %}

{# The effects of every listed study with one column of JSON text; an empty entry where no study has any. #}
{% macro effects_with(column) %}
    {% set effects = cqox.union_studies(
        'effects', ['study', 'estimator', 'specification', 'estimand', column], 'estimated_at'
    ) %}
    {{ return(effects or (
        'select ' ~ cqox.null_text() ~ ' as study, ' ~ cqox.null_text() ~ ' as estimator, ' ~ cqox.null_text()
        ~ ' as specification, ' ~ cqox.null_text() ~ ' as estimand, ' ~ cqox.as_text("'[]'") ~ ' as ' ~ column
    )) }}
{% endmacro %}

{# One row an entry of that column, with the run that it belongs to. fields: mapping of name to type. #}
{% macro entries_of(effects, column, fields) %}
    select
        unnested.study,
        unnested.estimator,
        unnested.specification,
        unnested.estimand
        {%- for name in fields %},
            unnested.entry.{{ name }}
        {%- endfor %}
    from (
        select
            study,
            estimator,
            specification,
            estimand,
            {{ cqox.json_rows(column, fields) }} as entry
        from {{ effects }}
    ) as unnested
{% endmacro %}

{# A column of JSON text as a relation of rows. fields: mapping of name to type. #}
{% macro json_rows(column, fields) %}{{ return(adapter.dispatch('json_rows', 'cqox')(column, fields)) }}{% endmacro %}

{% macro duckdb__json_rows(column, fields) -%}
    unnest(from_json({{ column }}, '[{{ cqox.fields_as_json(fields) }}]'))
{%- endmacro %}

{% macro fields_as_json(fields) %}{{ return(tojson(fields)) }}{% endmacro %}
