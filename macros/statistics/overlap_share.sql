{#
    Share of the target population with usable propensities (Crump et al. 2009): inside the bounds for ATE, treated units below
    the upper one for ATT. Gives estimand, value, low, high; NULL without units.

    low and high hold where the odds of treatment are even (allocation 0.5). Where they are not, the bounds are a factor of 9 (for 0.1 and 0.9)
    about the odds in the study, if that is wider: estimators/overlap.py has the same, and why.
#}
{% macro overlap_share(relation, treatment, propensity, low, high, allocation=none) %}
    {# Spark takes 1.0 for a decimal, whose average has five digits. #}
    {% set one, zero = 'cast(1 as ' ~ cqox.type_double() ~ ')', 'cast(0 as ' ~ cqox.type_double() ~ ')' %}
    select
        {{ cqox.as_text("'ATE'") }} as estimand,
        avg(
            case
                when {{ propensity }} is null then null
                when {{ propensity }} between bounds.low and bounds.high then {{ one }}
                else {{ zero }}
            end
        ) as value,
        max(bounds.low) as low,
        max(bounds.high) as high
    from {{ relation }} as scored
    cross join ({{ cqox.support_bounds(relation, treatment, low, high, allocation) }}) as bounds
    union all
    select
        {{ cqox.as_text("'ATT'") }} as estimand,
        avg(
            case
                when {{ propensity }} is null then null
                when {{ propensity }} < bounds.high then {{ one }}
                else {{ zero }}
            end
        ) as value,
        max(bounds.low) as low,
        max(bounds.high) as high
    from {{ relation }} as scored
    cross join ({{ cqox.support_bounds(relation, treatment, low, high, allocation) }}) as bounds
    where {{ treatment }} = 1
{% endmacro %}

{# One row: the least and the largest propensity in support, from the declared allocation or else the share of the treated. #}
{% macro support_bounds(relation, treatment, low, high, allocation=none) %}
    {% set share = 'max(' ~ allocation ~ ')' if allocation is not none else 'avg(' ~ treatment ~ ')' %}
    {% set odds = {'low': low / (1 - low), 'high': high / (1 - high)} %}
    {% if allocation == 0.5 %}
        {{ return('select ' ~ low ~ ' as low, ' ~ high ~ ' as high') }}
    {% endif %}
    select
        least({{ low }}, share * {{ odds.low }} / (share * {{ odds.low }} + 1 - share)) as low,
        greatest({{ high }}, share * {{ odds.high }} / (share * {{ odds.high }} + 1 - share)) as high
    from (select cast({{ share }} as {{ cqox.type_double() }}) as share from {{ relation }} as observed) as shares
{% endmacro %}
