{# marts.build_log: append-only, one row a node a build, each row's hash taken over the row before it. #}

{% macro build_log_relation() %}
    {{ return(api.Relation.create(database=target.database or none, schema='marts', identifier='build_log')) }}
{% endmacro %}

{% macro build_log_columns() %}
    {{ return({
        'position': 'bigint',
        'build_id': cqox.type_text(),
        'node': cqox.type_text(),
        'resource_type': cqox.type_text(),
        'status': cqox.type_text(),
        'seconds': cqox.type_double(),
        'message': cqox.type_text(),
        'logged_at': 'timestamp',
        'previous_hash': cqox.type_text(),
        'row_hash': cqox.type_text(),
    }) }}
{% endmacro %}

{% macro append_build_log(results) %}
    {% if execute and flags.WHICH in ('build', 'run', 'seed', 'test', 'snapshot') and results %}
        {% set relation = cqox.build_log_relation() %}
        {% do adapter.create_schema(relation) %}
        {% set columns = [] %}
        {% for name, kind in cqox.build_log_columns().items() %}{% do columns.append(name ~ ' ' ~ kind) %}{% endfor %}
        {% do run_query('create table if not exists ' ~ relation ~ ' (' ~ columns | join(', ') ~ ')') %}
        {% set last = run_query(
            'select position, row_hash from ' ~ relation ~ ' order by position desc limit 1'
        ).rows %}
        {% set state = namespace(position=0, hash='') %}
        {% if last | length > 0 %}
            {% set state.position = last[0][0] | int %}
            {% set state.hash = last[0][1] %}
        {% endif %}
        {% set now = cqox.utc_now() %}
        {% set rows = [] %}
        {% for result in results %}
            {% set state.position = state.position + 1 %}
            {% set message = cqox.without_frames((result.message or '') | string | replace('\r', '')) %}
            {% set seconds = (result.execution_time or 0) | round(3) %}
            {% set told = [
                cqox.build_id(), result.node.unique_id, result.node.resource_type | string, result.status | string,
                message,
            ] %}
            {# what tests/singular/build_log_chain_holds.sql takes the hash over again #}
            {% set hash = local_md5(([state.position | string] + told + [state.hash]) | join('|')) %}
            {% set quoted = [] %}
            {% for field in told[:4] + [message, now, state.hash, hash] %}
                {% do quoted.append(cqox.text_literal(field)) %}
            {% endfor %}
            {% do rows.append(
                '(' ~ state.position ~ ', ' ~ quoted[0:4] | join(', ') ~ ', ' ~ seconds ~ ', '
                ~ quoted[4] ~ ', timestamp ' ~ quoted[5:] | join(', ') ~ ')'
            ) %}
            {% set state.hash = hash %}
        {% endfor %}
        {% do run_query('insert into ' ~ relation ~ ' values ' ~ rows | join(', ')) %}
    {% endif %}
{% endmacro %}

{# A message without a traceback's frames, which dbt indents by four or more: what a study's rows tell as their reason. #}
{% macro without_frames(message) %}
    {% set mark = 'Traceback (most recent call last):' %}
    {% if mark not in message %}{{ return(message) }}{% endif %}
    {% set head, frames = message.split(mark, 1) %}
    {% set last = namespace(words=[]) %}
    {% for line in frames.split('\n') if line.strip() and not line.startswith('    ') %}
        {% do last.words.append(line.strip()) %}
    {% endfor %}
    {{ return(head.strip() ~ ' ' ~ last.words | join(' ')) }}
{% endmacro %}

{% macro empty_build_log() %}
    select
        {% for column, kind in cqox.build_log_columns().items() %}
            cast(null as {{ kind }}) as {{ column }}{{ "," if not loop.last }}
        {% endfor %}
    where 1 = 0
{% endmacro %}
