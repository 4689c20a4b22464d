{#
    What the outcome model misses: residuals of the cross-fitted prediction in the unit's own arm. arms: see outcomes_by_arm.
    residual_quantiles: quantiles in standard deviations over those of a normal law. residual_fitted and residual_spread:
    the mean residual, and the mean of the square root of its size in standard deviations, in twenty groups by prediction;
    series units is a sample of 300. Pairs of curve and query.
#}
{% macro residual_curves(study, arms) %}
    {% set residuals %}
    (
        select
            arm_unit, fitted, arm_outcome - fitted as residual,
            (arm_outcome - fitted - avg(arm_outcome - fitted) over ())
            / nullif(stddev_samp(arm_outcome - fitted) over (), 0) as standardised
        from {{ arms }} as arms
        where fitted is not null
    ) as residuals
    {% endset %}
    {% set groups %}
    (
        select avg(fitted) as fitted, avg(residual) as residual, avg(sqrt(abs(standardised))) as size
        from (select *, ntile(20) over (order by fitted, arm_unit) as part from {{ residuals }}) as parted
        group by part
    ) as groups
    {% endset %}
    {% set sampled %}
    (
        select * from {{ residuals }} order by md5(cast(arm_unit as varchar)), fitted limit 300
    ) as sampled
    {% endset %}
    {% set laws = cqox.normal_quantiles() %}
    {% set quantiles %}
    (
        select unnest({{ laws | map(attribute=0) | list }}) as normal, unnest(held) as quantile
        from (
            select quantile_cont(standardised, {{ laws | map(attribute=1) | list }}) as held
            from {{ residuals }}
        ) as whole
    ) as quantiles
    {% endset %}
    {% set out = [(
        'residual_quantiles',
        cqox.plain_points(study, 'residual_quantiles', "'residuals'", 'normal', 'quantile', quantiles)
    )] %}
    {% for curve, of_groups, of_units in [
        ('residual_fitted', 'residual', 'residual'), ('residual_spread', 'size', 'sqrt(abs(standardised))')
    ] %}
        {% do out.append((
            curve,
            cqox.plain_points(study, curve, "'mean'", 'fitted', of_groups, groups) ~ ' union all '
            ~ cqox.plain_points(study, curve, "'units'", 'fitted', of_units, sampled)
        )) %}
    {% endfor %}
    {{ return(out) }}
{% endmacro %}

{# Pairs of z and Φ(z), z from −2.8 to 2.8. #}
{% macro normal_quantiles() %}
    {% set upper = [
        [0.2, 0.57926], [0.4, 0.655422], [0.6, 0.725747], [0.8, 0.788145], [1.0, 0.841345], [1.2, 0.88493],
        [1.4, 0.919243], [1.6, 0.945201], [1.8, 0.96407], [2.0, 0.97725], [2.2, 0.986097], [2.4, 0.991802],
        [2.6, 0.995339], [2.8, 0.997445]
    ] %}
    {% set out = [[0.0, 0.5]] %}
    {% for z, p in upper %}{% do out.extend([[z, p], [-z, 1 - p]]) %}{% endfor %}
    {{ return(out) }}
{% endmacro %}

{#
    The outcome over the one covariate (of ten values or more) that goes with it most closely, for a sample of 300 units an
    arm; x_label is the covariate.
#}
{% macro outcome_by_covariate(study, arms, named) %}
    {% set long %}
    (
        {% for name in named %}
        select arm_unit, arm, arm_outcome, covariate_{{ loop.index }} as value, {{ cqox.text_literal(name) }} as name
        from {{ arms }} as arms
        where isfinite(covariate_{{ loop.index }})
        {{ 'union all' if not loop.last }}
        {% endfor %}
    )
    {% endset %}
    {% set chosen %}
    (
        select * from (
            select *, row_number() over (partition by arm order by md5(cast(arm_unit as varchar)), value) as place
            from {{ long }} as long
            where name = (
                select name from {{ long }} as long
                group by name
                having count(distinct value) >= 10 and corr(value, arm_outcome) is not null
                order by abs(corr(value, arm_outcome)) desc, name
                limit 1
            )
        ) as numbered
        where place <= 300
    ) as chosen
    {% endset %}
    {{ cqox.plain_points(study, 'outcome_by_covariate', 'arm', 'value', 'arm_outcome', chosen, label='name') }}
{% endmacro %}
