{#
    What of each listed study stands in the warehouse when the view that holds this is read: the hashes and the primary
    estimate of its effects, whichever build made them; and the fingerprints of its units and gates, as they were when it was
    estimated (units_hash, gates_hash) and as they stand (units_stand, gates_stand). Units that are a view have none that
    stands: their rows are read anew each time.
#}
{% macro effects_that_stand() %}
    {% set relations = {} %}
    {% for study in var('studies') %}{% do relations.update({study: ref(study ~ '_effects')}) %}{% endfor %}
    {% set columns = [
        'study', 'spec_hash', 'code_hash', 'data_hash', 'units_hash', 'gates_hash', 'status', 'estimate', 'estimated_at'
    ] %}
    {% set selects = [] %}
    {% for study, relation in relations.items() if execute %}
        {% if cqox.has_columns(relation, columns + ['is_primary']) %}
            {% do selects.append(
                'select ' ~ columns | join(', ')
                ~ ', ' ~ cqox.standing(study ~ '_units', 'hash(held)', 'units_hash') ~ ' as units_stand'
                ~ ', ' ~ cqox.standing(
                    study ~ '_gates', 'hash(gate, subject, estimand, estimator, is_passing, blocks)', 'gates_hash'
                ) ~ ' as gates_stand'
                ~ ' from ' ~ cqox.in_this_database(relation) ~ ' where is_primary'
            ) %}
        {% endif %}
    {% endfor %}
    {{ selects | join('\nunion all\n') if selects else cqox.no_rows_of({
        'study': 'text', 'spec_hash': 'text', 'code_hash': 'text', 'data_hash': 'text', 'units_hash': 'text',
        'gates_hash': 'text', 'status': 'text', 'estimate': 'double', 'estimated_at': 'timestamp', 'units_stand': 'text',
        'gates_stand': 'text'
    }) }}
{% endmacro %}

{# SQL of a table's fingerprint, as estimators/fingerprint.py takes it; of what is no table, the one that was. #}
{% macro standing(name, hashed, otherwise) %}
    {% set table = cqox.built_table(name) %}
    {% if table is none or not table.is_table or target.type != 'duckdb' %}{{ return(otherwise) }}{% endif %}
    {{ return(
        "(select count(*) || ':' || coalesce(sum(" ~ hashed ~ "::hugeint), 0) || ':' || coalesce(bit_xor(" ~ hashed
        ~ '), 0) from ' ~ cqox.in_this_database(table) ~ ' as held)'
    ) }}
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
