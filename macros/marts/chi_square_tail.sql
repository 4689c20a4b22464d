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
