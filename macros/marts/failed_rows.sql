{# The columns of a `failed` row of marts.estimates, for a study that has no rows of this build. #}
{% macro failed_estimate(columns, numbers, counts) %}
    {%- set told = {
        'study': 'studies.study',
        'status': "'failed'",
        'status_reason': "coalesce('the study was not built: ' || failures.reason || '. Mend it and build again', "
            ~ "'the study was not built in this build: run dbt build --select +' || studies.study || '_effects')",
        'is_primary': 'true',
        'estimated_at': 'cast(null as timestamp)',
    } %}
    {%- for name in ['estimator', 'specification', 'estimand', 'contrast', 'term', 'outcome', 'treatment'] %}
        {%- do told.update({name: "'none'"}) %}
    {%- endfor %}
    {%- for column in columns %}
        {{ told.get(column) or cqox.typed_null(column, numbers, counts, []) }} as {{ column }}{{ "," if not loop.last }}
    {%- endfor %}
{% endmacro %}

{% macro typed_null(column, numbers, counts, truths) %}
    {%- if column in numbers -%}{{ return(cqox.null_double()) }}
    {%- elif column in counts -%}{{ return('cast(null as bigint)') }}
    {%- elif column in truths -%}{{ return('cast(null as boolean)') }}
    {%- elif column.endswith('_at') -%}{{ return('cast(null as timestamp)') }}
    {%- else -%}{{ return(cqox.null_text()) }}
    {%- endif -%}
{% endmacro %}

{# An empty relation of these columns, where no study has a table to union. #}
{% macro no_rows(columns, numbers, counts, truths=[]) %}
    {% set out = [] %}
    {% for column in columns %}
        {% set booleans = truths + ['is_primary'] %}
        {% set kind = cqox.typed_null(column, numbers, counts, booleans) %}
        {% do out.append(kind ~ ' as ' ~ column) %}
    {% endfor %}
    {{ return('select ' ~ out | join(', ') ~ ' where 1 = 0') }}
{% endmacro %}
