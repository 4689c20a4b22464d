{#
    What units would have on average without treatment, from the cross-fitted outcome regressions of the studies that have
    scores: over all units, over the treated, and over units weighted by how much the arms overlap.
    study, of_all, of_treated, of_overlap.
#}
{% macro untreated_means() %}
    {% set selects = [] %}
    {% for study in var('studies') if execute %}
        {% set scores = cqox.built_table(study ~ '_scores') %}
        {% if scores is not none %}{% do selects.append(cqox.untreated_mean(study, scores)) %}{% endif %}
    {% endfor %}
    {{ selects | join('\nunion all\n') if selects else cqox.no_untreated_means() }}
{% endmacro %}

{% macro untreated_mean(study, scores) %}
    select
        {{ cqox.as_text("'" ~ study ~ "'") }} as study,
        avg(mu0) as of_all,
        avg(case when treatment = 1 then mu0 end) as of_treated,
        sum(mu0 * propensity * (1 - propensity)) / nullif(sum(propensity * (1 - propensity)), 0) as of_overlap
    from {{ scores }}
{% endmacro %}

{% macro no_untreated_means() %}
    select
        {{ cqox.null_text() }} as study,
        {{ cqox.null_double() }} as of_all,
        {{ cqox.null_double() }} as of_treated,
        {{ cqox.null_double() }} as of_overlap
    where 1 = 0
{% endmacro %}
