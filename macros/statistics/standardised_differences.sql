{#
    Standardised mean difference of each column between treated and control, under each set of weights:
    (weighted mean of treated - weighted mean of controls) / sd, the sd being the root of the mean of the two arms'
    unweighted variances (Austin 2011): one yardstick before and after weighting. One pass over the relation.
    columns: list of {name, sql}; weights: list of {column (none: unweighted), estimand, estimator}.
    Gives subject, estimand, estimator, value; value is NULL where an arm or a weight is missing: the gate fails.
#}
{% macro standardised_differences(relation, treatment, columns, weights) %}
    with

    numbers as (

        select
            {{ treatment }} as arm
            {%- for w in weights %},
                {{ w.column or '1.0' }} as w{{ loop.index0 }}
            {%- endfor %}
            {%- for c in columns %},
                {{ c.sql }} as x{{ loop.index0 }}
            {%- endfor %}
        from {{ relation }}

    ),

    arms as (

        select
            arm
            {%- for c in columns %}
                {%- set i = loop.index0 %},
                var_samp(x{{ i }}) as v{{ i }}
                {%- for w in weights %},
                    sum(w{{ loop.index0 }} * x{{ i }})
                    / nullif(sum(case when x{{ i }} is not null then w{{ loop.index0 }} end), 0)
                        as m{{ i }}_{{ loop.index0 }}
                {%- endfor %}
            {%- endfor %}
        from numbers
        group by arm

    ),

    treated as (

        select * from arms
        where arm = 1

    ),

    control as (

        select * from arms
        where arm = 0

    ),

    -- always one row, so that an empty arm gives NULL and not silence
    paired as (

        select
            weighting.place
            {%- for c in columns %}
                {%- set i = loop.index0 %},
                sqrt((treated.v{{ i }} + control.v{{ i }}) / 2) as s{{ i }},
                case weighting.place
                    {%- for w in weights %}
                        when {{ loop.index0 }} then treated.m{{ i }}_{{ loop.index0 }} - control.m{{ i }}_{{ loop.index0 }}
                    {%- endfor %}
                end as d{{ i }}
            {%- endfor %}
        from (
            {%- for w in weights %}
                select {{ loop.index0 }} as place {{ "union all" if not loop.last }}
            {%- endfor %}
        ) as weighting
        left join treated on 1 = 1
        left join control on 1 = 1

    ),

    listed as (

        {% for c in columns %}
            select {{ loop.index0 }} as number {{ "union all" if not loop.last }}
        {%- endfor %}

    ),

    -- beside a list, and not a union: Spark would compute `paired` anew for each part of a union
    differences as (

        select
            paired.place,
            case listed.number
                {%- for c in columns %}
                    when {{ loop.index0 }} then {{ cqox.as_text(cqox.text_literal(c.name)) }}
                {%- endfor %}
            end as subject,
            case listed.number
                {%- for c in columns %}
                    when {{ loop.index0 }} then paired.d{{ loop.index0 }}
                {%- endfor %}
            end as difference,
            case listed.number
                {%- for c in columns %}
                    when {{ loop.index0 }} then paired.s{{ loop.index0 }}
                {%- endfor %}
            end as sd
        from paired
        cross join listed

    )

    select
        subject,
        case place
            {%- for w in weights %}
                when {{ loop.index0 }}
                    then {{ cqox.as_text("'" ~ w.estimand ~ "'") if w.estimand else cqox.null_text() }}
            {%- endfor %}
        end as estimand,
        case place
            {%- for w in weights %}
                when {{ loop.index0 }}
                    then {{ cqox.as_text("'" ~ w.estimator ~ "'") if w.estimator else cqox.null_text() }}
            {%- endfor %}
        end as estimator,
        -- equal constants in both arms are balanced
        case when difference = 0 then 0 else difference / nullif(sd, 0) end as value
    from differences
{% endmacro %}
