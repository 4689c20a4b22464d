{#
    Share of the target population with usable propensities (Crump et al. 2009): inside [low, high] for ATE, treated units
    below high for ATT. Gives estimand, value; NULL without units.
#}
{% macro overlap_share(relation, treatment, propensity, low, high) %}
    select
        {{ cqox.as_text("'ATE'") }} as estimand,
        avg(case when {{ propensity }} between {{ low }} and {{ high }} then 1.0 else 0.0 end) as value
    from {{ relation }}
    union all
    select
        {{ cqox.as_text("'ATT'") }} as estimand,
        avg(case when {{ propensity }} < {{ high }} then 1.0 else 0.0 end) as value
    from {{ relation }}
    where {{ treatment }} = 1
{% endmacro %}
