{#
    Variance inflation factors, from the correlation matrix swept in SQL (Beaton 1964). Sweeping the covariates turns their
    diagonal into VIFs among covariates and leaves 1 - R² of the treatment given them, so one matrix gives both.
    Long format and window functions: each step reads the one before once, on any engine.
    columns: list of {name, sql}, treatment last. Gives position, subject, value; NULL where earlier columns
    explain one (an infinite VIF): the gate fails.
#}
{% macro variance_inflation(relation, columns) %}
    {% set k = columns | length %}
    with

    wide as (

        select
            {% for a in columns %}
                {%- set i = loop.index0 %}
                {%- for b in columns %}
                    {%- if loop.index0 > i %}
                        -- a constant column goes with nothing: zero, not NaN
                        case
                            when var_samp({{ a.sql }}) > 0 and var_samp({{ b.sql }}) > 0
                                then corr({{ a.sql }}, {{ b.sql }})
                            else 0
                        end as r{{ i }}_{{ loop.index0 }},
                    {%- endif %}
                {%- endfor %}
            {%- endfor %}
            count(*) as n
        from {{ relation }}

    ),

    places as (

        {% for i in range(k) %}
            select {{ i }} as place {{ "union all" if not loop.last }}
        {% endfor %}

    ),

    swept_0 as (

        select
            a.place as i,
            b.place as j,
            case
                when a.place = b.place then 1.0
                {% for i in range(k) %}
                    {%- for j in range(i + 1, k) %}
                        when (a.place = {{ i }} and b.place = {{ j }}) or (a.place = {{ j }} and b.place = {{ i }})
                            then wide.r{{ i }}_{{ j }}
                    {%- endfor %}
                {%- endfor %}
            end as value
        from places as a
        cross join places as b
        cross join wide

    )

    {%- for p in range(k - 1) %},

    pivot_{{ p + 1 }} as (

        select
            i,
            j,
            value,
            max(case when i = {{ p }} then value end) over (partition by j) as in_row,
            max(case when j = {{ p }} then value end) over (partition by i) as in_column,
            max(case when i = {{ p }} and j = {{ p }} then value end) over () as d
        from swept_{{ p }}

    ),

    swept_{{ p + 1 }} as (

        select
            i,
            j,
            case
                -- explained by earlier columns: left unswept, its diagonal stays near zero
                when d < 1e-10 then value
                when i = {{ p }} and j = {{ p }} then 1 / d
                when i = {{ p }} then value / d
                when j = {{ p }} then -value / d
                else value - in_column * in_row / d
            end as value
        from pivot_{{ p + 1 }}

    )
    {%- endfor %}

    select
        i as position,
        case i
            {% for c in columns %}
                when {{ loop.index0 }} then '{{ c.name | replace("'", "''") }}'
            {%- endfor %}
        end as subject,
        case
            when i = {{ k - 1 }} then case when value > 1e-10 then 1 / value end
            -- a swept diagonal is at least one
            when value > 0.5 then value
        end as value
    from swept_{{ k - 1 }}
    where i = j
{% endmacro %}
