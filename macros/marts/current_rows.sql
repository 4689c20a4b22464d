{#
    What of each listed study stands in the warehouse when the view that holds this is read: the hashes and the primary
    estimate of its effects, whichever build made them. study, spec_hash, code_hash, data_hash, status, estimate,
    estimated_at.
#}
{% macro effects_that_stand() %}
    {% set relations = [] %}
    {% for study in var('studies') %}{% do relations.append(ref(study ~ '_effects')) %}{% endfor %}
    {% set columns = [
        'study', 'spec_hash', 'code_hash', 'data_hash', 'status', 'estimate', 'is_primary', 'estimated_at'
    ] %}
    {% set selects = [] %}
    {% for relation in relations if execute %}
        {% if cqox.has_columns(relation, columns) %}
            {% do selects.append(
                'select ' ~ columns | reject('eq', 'is_primary') | join(', ') ~ ' from ' ~ cqox.in_this_database(relation) ~ ' where is_primary'
            ) %}
        {% endif %}
    {% endfor %}
    {{ selects | join('\nunion all\n') if selects else cqox.no_rows_of({
        'study': 'text', 'spec_hash': 'text', 'code_hash': 'text', 'data_hash': 'text', 'status': 'text',
        'estimate': 'double', 'estimated_at': 'timestamp'
    }) }}
{% endmacro %}

{#
    The studies whose last run did not get to their effects, and why, by the build log: study, failed_at, reason. An effects
    table that stands is then of an earlier run.
#}
{% macro last_runs_that_failed() %}
    {% for study in var('studies') %}
        select
            {{ cqox.as_text(cqox.text_literal(study)) }} as study,
            last_run.logged_at as failed_at,
            -- the engine's picture of the line is left out
            coalesce(
                min(causes.node || ': ' || trim(replace(split_part(causes.message, 'LINE ', 1), chr(10), ' '))),
                'it was skipped'
            ) as reason
        from (
            select
                build_id,
                status,
                logged_at
            from {{ cqox.in_this_database(ref('build_log')) }}
            where node in ({{ cqox.effects_nodes_of(study) }})
            order by position desc
            limit 1
        ) as last_run
        left join {{ cqox.in_this_database(ref('build_log')) }} as causes
            on
                last_run.build_id = causes.build_id
                and causes.status in ('error', 'fail')
                and causes.node in ({{ cqox.ancestors_of(study) if execute else "''" }})
        where last_run.status in ('error', 'skipped')
        group by last_run.logged_at
        {{ "union all" if not loop.last }}
    {% endfor %}
{% endmacro %}

{#
    A relation without the name of its database: a DuckDB file gives its own name to that, so a view that held it would break
    in a file that is renamed, copied or attached under another name. A file called as the schema needs it all the same.
#}
{% macro in_this_database(relation) %}
    {{ return(relation if relation.database == relation.schema else relation.include(database=false)) }}
{% endmacro %}

{# Quoted unique ids of the models that a study's effects may be. #}
{% macro effects_nodes_of(study) %}
    {% set found = [] %}
    {# the graph has no nodes while it is being read #}
    {% if not execute %}{{ return("''") }}{% endif %}
    {% for node in graph.nodes.values() if node.resource_type == 'model' and node.name == study ~ '_effects' %}
        {% do found.append(cqox.text_literal(node.unique_id)) %}
    {% endfor %}
    {{ return(found | join(', ') or "''") }}
{% endmacro %}
