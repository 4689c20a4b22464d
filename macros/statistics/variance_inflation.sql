{#
    Variance inflation factors, from the correlation matrix swept in SQL (Beaton 1964). Sweeping the covariates turns their
    diagonal into VIFs among covariates and leaves 1 - R² of the treatment given them, so one matrix gives both.
    A constant column goes with nothing; a row that lacks a number is left out. columns: list of {name, sql}, treatment last. Gives position, subject, value; NULL
    where earlier columns explain one (an infinite VIF): the gate fails.
#}
{% macro variance_inflation(relation, columns) %}
    {{ return(adapter.dispatch('variance_inflation', 'cqox')(relation, columns)) }}
{% endmacro %}

{# Long format and window functions: each step reads the one before once, on any engine. #}
{% macro default__variance_inflation(relation, columns) %}
    {% set k = columns | length %}
    with

    numbers as (

        {{ cqox.complete_numbers(relation, columns) }}

    ),

    wide as (

        select
            {% for i in range(k) %}
                {%- for j in range(i + 1, k) %}
                    covar_samp(x{{ i }}, x{{ j }}) as c{{ i }}_{{ j }},
                {%- endfor %}
                var_samp(x{{ i }}) as v{{ i }}{{ "," if not loop.last }}
            {% endfor %}
        from numbers

    ),

    places as (

        {% for i in range(k) %}
            select
                {{ i }} as place,
                v{{ i }} as variance
            from wide
            {{ "union all" if not loop.last }}
        {% endfor %}

    ),

    pairs as (

        {% for i in range(k) %}
            {%- for j in range(i + 1, k) %}
                select
                    {{ i }} as i,
                    {{ j }} as j,
                    c{{ i }}_{{ j }} as covariance
                from wide
                union all
            {% endfor %}
        {%- endfor %}
        select
            place as i,
            place as j,
            variance as covariance
        from places

    ),

    both_sides as (

        select
            i,
            j,
            covariance
        from pairs
        union all
        select
            j as i,
            i as j,
            covariance
        from pairs
        where i <> j

    ),

    swept_0 as (

        select
            both_sides.i,
            both_sides.j,
            case
                when both_sides.i = both_sides.j then 1.0
                else coalesce(both_sides.covariance / nullif(sqrt(a.variance * b.variance), 0), 0.0)
            end as value
        from both_sides
        inner join places as a on both_sides.i = a.place
        inner join places as b on both_sides.j = b.place

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
                when {{ loop.index0 }} then {{ cqox.text_literal(c.name) }}
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

{# Spark copies a CTE into every place that reads it, so the steps above never end there: one fold over an array of rows. #}
{% macro spark__variance_inflation(relation, columns) %}
    {% set k = columns | length %}
    with

    numbers as (

        {{ cqox.complete_numbers(relation, columns) }}

    ),

    correlations as (

        select
            array(
                {% for i in range(k) %}
                    array(
                        {% for j in range(k) %}
                            {% if i == j %}
                                cast(1 as double)
                            {% else %}
                                coalesce(
                                    covar_samp(x{{ i }}, x{{ j }})
                                    / nullif(sqrt(var_samp(x{{ i }}) * var_samp(x{{ j }})), 0),
                                    cast(0 as double)
                                )
                            {% endif %}
                            {{ "," if not loop.last }}
                        {% endfor %}
                    ){{ "," if not loop.last }}
                {% endfor %}
            ) as matrix
        from numbers

    ),

    swept as (

        select
            aggregate(
                -- as the steps above: one covariate after the other, and none that earlier ones explain
                {{ 'sequence(0, ' ~ (k - 2) ~ ')' if k > 1 else 'cast(array() as array<int>)' }},
                matrix,
                (m, p) -> case
                    when m[p][p] < 1e-10 then m
                    else transform(m, (line, i) -> transform(line, (value, j) -> case
                        when i = p and j = p then 1 / m[p][p]
                        when i = p then value / m[p][p]
                        when j = p then -value / m[p][p]
                        else value - line[p] * m[p][j] / m[p][p]
                    end))
                end
            ) as matrix
        from correlations

    ),

    diagonal as (

        select
            position,
            matrix[position][position] as value
        from swept
        lateral view explode(sequence(0, {{ k - 1 }})) as position

    )

    select
        position,
        case position
            {% for c in columns %}
                when {{ loop.index0 }} then {{ cqox.text_literal(c.name) }}
            {%- endfor %}
        end as subject,
        case
            when position = {{ k - 1 }} then case when value > 1e-10 then 1 / value end
            -- a swept diagonal is at least one
            when value > 0.5 then value
        end as value
    from diagonal
{% endmacro %}

{# The columns as x0, x1, … of the rows that lack none: correlations of different rows are no correlation matrix. #}
{% macro complete_numbers(relation, columns) %}
    select *
    from (
        select
            {% for c in columns %}
                {{ c.sql }} as x{{ loop.index0 }}{{ "," if not loop.last }}
            {% endfor %}
        from {{ relation }} as observed
    ) as every_row
    where
        {% for c in columns %}
            x{{ loop.index0 }} is not null {{ "and" if not loop.last }}
        {% endfor %}
{% endmacro %}
