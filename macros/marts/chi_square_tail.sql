{#
    P(X > x) of a chi-square law with a whole number of degrees of freedom: the finite sums that hold for even and for odd
    ones; the odd ones begin with erfc, by the rational approximation 7.1.26 of Abramowitz and Stegun (error below 2e-7).
#}
{% macro chi_square_tail(x, df) %}{{ return(adapter.dispatch('chi_square_tail', 'cqox')(x, df)) }}{% endmacro %}

{% macro duckdb__chi_square_tail(x, df) -%}
    {%- set h = 'greatest((' ~ x ~ ') / 2.0, 1e-300)' -%}
    {%- set t = '1 / (1 + 0.3275911 * sqrt(' ~ h ~ '))' -%}
    case
        when ({{ x }}) is null or coalesce({{ df }}, 0) < 1 then null
        when {{ df }} % 2 = 0 then least(1.0, list_sum(list_transform(
            range(0, cast({{ df }} // 2 as bigint)), lambda i: exp(i * ln({{ h }}) - {{ h }} - lgamma(i + 1))
        )))
        else least(1.0, exp(-{{ h }}) * (
            ((((1.061405429 * {{ t }} - 1.453152027) * {{ t }} + 1.421413741) * {{ t }} - 0.284496736) * {{ t }}
            + 0.254829592) * {{ t }}
        ) + coalesce(list_sum(list_transform(
            range(1, cast(({{ df }} - 1) // 2 as bigint) + 1),
            lambda i: exp((i - 0.5) * ln({{ h }}) - {{ h }} - lgamma(i + 0.5))
        )), 0.0))
    end
{%- endmacro %}

{# Spark has no lgamma: each term is the one before it times h over the next number. #}
{% macro spark__chi_square_tail(x, df) -%}
    {%- set h = 'greatest((' ~ x ~ ') / 2.0D, 1e-300D)' -%}
    {%- set t = '1 / (1 + 0.3275911D * sqrt(' ~ h ~ '))' -%}
    {%- set one = 'cast(1 as bigint)' -%}
    {%- set empty = 'cast(array() as array<bigint>)' -%}
    case
        when ({{ x }}) is null or coalesce({{ df }}, 0) < 1 then null
        when {{ df }} % 2 = 0 then least(1.0D, aggregate(
            case when {{ df }} > 2 then sequence({{ one }}, cast({{ df }} div 2 as bigint) - 1) else {{ empty }} end,
            named_struct('term', exp(-{{ h }}), 'total', exp(-{{ h }})),
            (a, i) -> named_struct('term', a.term * {{ h }} / i, 'total', a.total + a.term * {{ h }} / i),
            a -> a.total
        ))
        else least(1.0D, exp(-{{ h }}) * (
            ((((1.061405429D * {{ t }} - 1.453152027D) * {{ t }} + 1.421413741D) * {{ t }} - 0.284496736D) * {{ t }}
            + 0.254829592D) * {{ t }}
        ) + aggregate(
            case when {{ df }} > 2 then sequence({{ one }}, cast(({{ df }} - 1) div 2 as bigint)) else {{ empty }} end,
            named_struct('term', exp(-{{ h }}) / sqrt({{ h }} * pi()), 'total', 0.0D),
            (a, i) -> named_struct(
                'term', a.term * {{ h }} / (i - 0.5D), 'total', a.total + a.term * {{ h }} / (i - 0.5D)
            ),
            a -> a.total
        ))
    end
{%- endmacro %}
