{# How outcomes are distributed by arm, and by how much treatment moves each quantile. arms: see outcomes_by_arm. #}

{# The share of each arm in 24 bins of equal width. #}
{% macro outcome_histograms(study, arms) %}
    {{ cqox.plain_points(study, 'outcome_histogram', 'series', 'middle', 'share', '(
        select
            arm as series,
            any_value(low) + (bin + 0.5) * any_value(width) as middle,
            count(*) * 1.0 / any_value(size) as share
        from (
            select
                arm, low, width, size,
                case when width > 0 then least(floor((arm_outcome - low) / width), 23) else 0 end as bin
            from (
                select
                    arm, arm_outcome, count(*) over (partition by arm) as size, min(arm_outcome) over () as low,
                    (max(arm_outcome) over () - min(arm_outcome) over ()) / 24 as width
                from ' ~ arms ~ ' as arms
            ) as placed
        ) as binned
        group by arm, bin
    ) as histogram') }}
{% endmacro %}

{# The outcome below which each percent of an arm lies. #}
{% macro outcome_cdf(study, arms) %}
    {% set shares = [] %}
    {% for percent in range(101) %}{% do shares.append(percent / 100) %}{% endfor %}
    {{ cqox.plain_points(study, 'outcome_cdf', 'arm', 'place', 'share', '(
        select arm, unnest(places) as place, unnest(' ~ shares ~ ') as share
        from (select arm, quantile_cont(arm_outcome, ' ~ shares ~ ') as places from ' ~ arms ~ ' as arms group by arm) as held
    ) as cdf') }}
{% endmacro %}

{#
    Kolmogorov and Smirnov: where the two distributions lie furthest apart, the share of each arm up to there, and the
    asymptotic p-value of that distance (Stephens 1970), which ignores weights, covariates and clusters.
#}
{% macro outcome_ks(study, arms) %}
    {% set widest %}
    (
        select *
        from (
            select
                arm_outcome as place, any_value(treated) as treated, any_value(control) as control,
                sum(sum(case when arm = 'treated' then 1 else 0 end)) over below * 1.0 / any_value(treated) as of_treated,
                sum(sum(case when arm = 'control' then 1 else 0 end)) over below * 1.0 / any_value(control) as of_control
            from (
                select
                    arm, arm_outcome, count(*) filter (where arm = 'treated') over () as treated,
                    count(*) filter (where arm = 'control') over () as control
                from {{ arms }} as arms
            ) as counted
            group by arm_outcome
            window below as (order by arm_outcome)
        ) as steps
        order by abs(of_treated - of_control) desc, place
        limit 1
    ) as widest
    {% endset %}
    {% set told %}
    (
        select unnest([
            {'series': 'treated', 'place': place, 'y': of_treated},
            {'series': 'control', 'place': place, 'y': of_control},
            {'series': 'p_value', 'place': place, 'y': case when argument < 0.3 then 1.0 else least(1.0, greatest(0.0,
                2 * list_sum(list_transform(
                    range(1, 101), lambda k: case when k % 2 = 1 then 1 else -1 end * exp(-2 * k * k * argument * argument)
                ))
            )) end}
        ]) as point
        from (
            select
                *,
                (sqrt(treated * 1.0 * control / (treated + control)) + 0.12
                    + 0.11 / sqrt(treated * 1.0 * control / (treated + control)))
                    * abs(of_treated - of_control) as argument
            from {{ widest }}
        ) as tested
    ) as told
    {% endset %}
    {{ cqox.plain_points(study, 'outcome_ks', 'point.series', 'point.place', 'point.y', told) }}
{% endmacro %}

{#
    Quantile effects: the quantile of the outcome of the treated less that of the controls, both weighted to the same
    population. Each arm's quantile has Woodruff's (1952) interval, at q ± 1.96 √(q (1 − q) / effective size); the two are
    joined as for a difference of independent estimates (Zou & Donner 2008). It takes the weights as known.
#}
{% macro quantile_effects(study, arms, estimand) %}
    select
        {{ cqox.curve_key(study, 'quantile_effects', estimand) }},
        'effect' as series,
        q as x,
        {{ cqox.null_text() }} as x_label,
        treated - control as y,
        treated - control
        - sqrt(power(treated - treated_low, 2) + power(control_high - control, 2)) as conf_low,
        treated - control
        + sqrt(power(treated_high - treated, 2) + power(control - control_low, 2)) as conf_high
    from (
        select
            q,
            {%- for arm in ['treated', 'control'] %}
            {%- for name, place in {'': 'middle', '_low': 'low', '_high': 'high'}.items() %}
            max(case when arm = '{{ arm }}' and place = '{{ place }}' then arm_outcome end) as {{ arm }}{{ name }},
            {%- endfor %}
            {%- endfor %}
            count(*) as found
        from (
            select wanted.arm, wanted.q, wanted.place, cumulated.arm_outcome
            from (
                select
                    arm, q, place,
                    least(greatest(
                        q + shift * 1.959964 * sqrt(q * (1 - q) * sum(power(arm_weight, 2)) / power(sum(arm_weight), 2)), 1e-9
                    ), 1 - 1e-9) as share
                from {{ arms }} as arms
                cross join (select step / 20.0 as q from range(1, 20) as steps (step)) as grid
                cross join (values ('low', -1), ('middle', 0), ('high', 1)) as shifts (place, shift)
                where arm_weight > 0
                group by arm, q, place, shift
            ) as wanted
            asof join (
                select
                    arm, arm_outcome,
                    sum(sum(arm_weight)) over (partition by arm order by arm_outcome)
                    / sum(sum(arm_weight)) over (partition by arm) as share
                from {{ arms }} as arms
                where arm_weight > 0
                group by arm, arm_outcome
            ) as cumulated
                on wanted.arm = cumulated.arm and wanted.share <= cumulated.share
        ) as placed
        group by q
    ) as quantiles
    where treated is not null and control is not null
{% endmacro %}
