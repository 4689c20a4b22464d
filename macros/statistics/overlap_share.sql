{#
    Share of the target population with usable propensities (Crump et al. 2009): inside [low, high] for ATE, treated units
    below high for ATT. Gives estimand, value; NULL without units.
#}
{% macro overlap_share(relation, treatment, propensity, low, high) %}
    {# Spark takes 1.0 for a decimal, whose average has five digits. #}
    {% set one, zero = 'cast(1 as ' ~ cqox.type_double() ~ ')', 'cast(0 as ' ~ cqox.type_double() ~ ')' %}
    select
        {{ cqox.as_text("'ATE'") }} as estimand,
        avg(case when {{ propensity }} between {{ low }} and {{ high }} then {{ one }} else {{ zero }} end) as value
    from {{ relation }}
    union all
    select
        {{ cqox.as_text("'ATT'") }} as estimand,
        avg(case when {{ propensity }} < {{ high }} then {{ one }} else {{ zero }} end) as value
    from {{ relation }}
    where {{ treatment }} = 1
{% endmacro %}
