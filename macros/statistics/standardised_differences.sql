{#
    Standardised mean difference of each column between treated and control, under each set of weights:
    (weighted mean of treated - weighted mean of controls) / sd, the sd unweighted: of the treated for ATT, else the root
    of the mean of the two arms' variances (Austin 2011). One pass over the relation.
    columns: list of {name, sql}; weights: list of {column (none: unweighted), estimand, estimator}.
    Gives subject, estimand, estimator, value; value is NULL where an arm or a weight is missing: the gate fails.
#}
{% macro standardised_differences(relation, treatment, columns, weights) %}
    with

    arms as (

        select
            {{ treatment }} as arm
            {%- for c in columns %}
                {%- set i = loop.index0 %},
                var_samp({{ c.sql }}) as v{{ i }}
                {%- for w in weights %}
                    {%- if w.column is none %},
                        avg({{ c.sql }}) as m{{ i }}_{{ loop.index0 }}
                    {%- else %},
                        sum({{ w.column }} * ({{ c.sql }})) / nullif(sum({{ w.column }}), 0) as m{{ i }}_{{ loop.index0 }}
                    {%- endif %}
                {%- endfor %}
            {%- endfor %}
        from {{ relation }}
        group by {{ treatment }}

    ),

    paired as (

        select
            1 as one
            {%- for c in columns %}
                {%- set i = loop.index0 %},
                max(case when arm = 1 then v{{ i }} end) as v1_{{ i }},
                max(case when arm = 0 then v{{ i }} end) as v0_{{ i }}
                {%- for w in weights %},
                    max(case when arm = 1 then m{{ i }}_{{ loop.index0 }} end)
                    - max(case when arm = 0 then m{{ i }}_{{ loop.index0 }} end) as d{{ i }}_{{ loop.index0 }}
                {%- endfor %}
            {%- endfor %}
        from arms

    )

    {% for c in columns %}
        {%- set i = loop.index0 %}
        {%- set last_column = loop.last %}
        {%- for w in weights %}
            {%- set sd = 'sqrt(v1_' ~ i ~ ')' if w.estimand == 'ATT' else 'sqrt((v1_' ~ i ~ ' + v0_' ~ i ~ ') / 2)' %}
            {%- set difference = 'd' ~ i ~ '_' ~ loop.index0 %}
            select
                {{ as_text("'" ~ (c.name | replace("'", "''")) ~ "'") }} as subject,
                {{ as_text("'" ~ w.estimand ~ "'") if w.estimand else null_text() }} as estimand,
                {{ as_text("'" ~ w.estimator ~ "'") if w.estimator else null_text() }} as estimator,
                -- equal constants in both arms are balanced
                case when {{ difference }} = 0 then 0 else {{ difference }} / nullif({{ sd }}, 0) end as value
            from paired
            {% if not (loop.last and last_column) %}union all{% endif %}
        {%- endfor %}
    {%- endfor %}
{% endmacro %}
