{#
    What units would have on average without treatment, from the cross-fitted outcome regressions of the studies that have
    scores: over all units, over the treated, and over units weighted by how much the arms overlap. Each study is a part by
    itself (macros/engine/each_study.sql).
    study, of_all, of_treated, of_overlap.
#}
{% macro untreated_means() %}
    {% set members = [] %}
    {% for study in cqox.studies_of_this_build() %}
        {% set scores = cqox.built_table(study ~ '_scores') %}
        {% if scores is not none %}
            {% do members.append(cqox.part({'study': study}, cqox.untreated_mean(study, scores))) %}
        {% endif %}
    {% endfor %}
    {{ members | join('\nunion all\n') if members else cqox.no_rows_of(cqox.untreated_mean_columns()) }}
{% endmacro %}

{% macro untreated_mean(study, scores) %}
    select
        {{ cqox.as_text(cqox.text_literal(study)) }} as study,
        avg(mu0) as of_all,
        avg(case when treatment = 1 then mu0 end) as of_treated,
        sum(mu0 * propensity * (1 - propensity)) / nullif(sum(propensity * (1 - propensity)), 0) as of_overlap
    from {{ scores }}
{% endmacro %}

{# Its columns with their types, as no_rows_of takes them. #}
{% macro untreated_mean_columns() %}
    {{ return({'study': 'text', 'of_all': 'double', 'of_treated': 'double', 'of_overlap': 'double'}) }}
{% endmacro %}
