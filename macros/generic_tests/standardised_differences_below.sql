{#
    Covariates whose standardised mean difference between the arms (treatment 1 and 0) is not below the threshold, NULL
    included. terms as in a study block (age, age^2, C(race), log(x), a:b); weight: a column, or none.
#}
{% test standardised_differences_below(model, treatment, terms, weight=none, threshold=0.1) %}
    {{ return(adapter.dispatch('test_standardised_differences_below', 'cqox')(model, treatment, terms, weight, threshold)) }}
{% endtest %}

{% macro default__test_standardised_differences_below(model, treatment, terms, weight, threshold) %}
    {% if not execute %}{{ return('select 1 as parsed') }}{% endif %}
    {% set columns = cqox.term_expressions(model, terms) %}
    {% set weights = [{'column': cqox.quoted(weight) if weight else none, 'estimand': none, 'estimator': none}] %}
    select
        subject,
        value
    from ({{ cqox.standardised_differences(model, cqox.quoted(treatment), columns, weights) }}) as differences
    where not coalesce(abs(value) < {{ threshold }}, false)
{% endmacro %}
