{# Units by propensity and arm, in twenty bins: one curve a study that has scores of this build. #}
{% macro propensity_histograms() %}
    {% set selects = [] %}
    {% for study in var('studies') if execute %}
        {% for node in graph.nodes.values() if node.resource_type == 'model' and node.name == study ~ '_scores' %}
            {% set relation = load_relation(api.Relation.create(
                database=node.database, schema=node.schema, identifier=node.alias
            )) %}
            {% if relation is not none %}{% do selects.append(propensity_histogram(study, relation)) %}{% endif %}
        {% endfor %}
    {% endfor %}
    {{ selects | join('\nunion all\n') if selects else no_curves() }}
{% endmacro %}

{% macro propensity_histogram(study, scores) %}
    select
        {{ as_text("'" ~ study ~ "'") }} as study,
        'scores' as estimator,
        'default' as specification,
        {{ null_text() }} as estimand,
        'propensity_histogram' as curve,
        case when treatment = 1 then 'treated' else 'control' end as series,
        0.025 + 0.05 * least(floor(propensity * 20), 19) as x,
        {{ null_text() }} as x_label,
        cast(count(*) as {{ type_double() }}) as y,
        {{ null_double() }} as conf_low,
        {{ null_double() }} as conf_high
    from {{ scores }}
    group by treatment, least(floor(propensity * 20), 19)
{% endmacro %}

{% macro no_curves() %}
    select
        {{ null_text() }} as study,
        {{ null_text() }} as estimator,
        {{ null_text() }} as specification,
        {{ null_text() }} as estimand,
        {{ null_text() }} as curve,
        {{ null_text() }} as series,
        {{ null_double() }} as x,
        {{ null_text() }} as x_label,
        {{ null_double() }} as y,
        {{ null_double() }} as conf_low,
        {{ null_double() }} as conf_high
    where 1 = 0
{% endmacro %}
