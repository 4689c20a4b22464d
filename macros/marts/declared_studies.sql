{# The declarations of the listed studies as rows: what the YAML says, nothing measured. #}
{% macro declared_studies() %}
    {% if not execute %}{{ return('select 1 as parsed') }}{% endif %}
    {% for study in var('studies') %}
        {% set block = cqox.study_block(study) %}
        {% set rule = block.get('decision') or {} %}
        select
            {{ cqox.as_text("'" ~ study ~ "'") }} as study,
            {{ cqox.text_or_null(block.get('question')) }} as question,
            {{ cqox.text_or_null(block.get('design')) }} as design,
            {{ cqox.text_or_null(block.get('population')) }} as population,
            {{ cqox.text_or_null(block.get('outcome')) }} as outcome,
            {{ cqox.text_or_null(block.get('outcome_unit')) }} as outcome_unit,
            {{ cqox.text_or_null(block.get('treatment_unit')) }} as treatment_unit,
            {{ cqox.text_or_null(block.get('treatment') or block.get('cohort') or block.get('running')) }} as treatment,
            {{ cqox.text_or_null(rule.get('desired_direction')) }} as desired_direction,
            {{ cqox.number_or_null(rule.get('minimum_effect')) }} as minimum_effect,
            {{ cqox.number_or_null(block.get('value_per_unit')) }} as value_per_unit,
            {{ cqox.number_or_null(block.get('cost_per_unit')) }} as cost_per_unit,
            {{ 'true' if block.get('a_a_test') else 'false' }} as is_a_a_test,
            {{ cqox.text_or_null(cqox.covariates_undated(cqox.readable_block(block))) }} as covariates_undated,
            {{ cqox.text_or_null(tojson(block)) }} as roles,
            {{ cqox.hash_of_block(study, block) }} as declared_hash
        {{ "union all" if not loop.last }}
    {% endfor %}
{% endmacro %}

{# The declared outcomes of the listed studies as rows: the primary one, secondary ones and guardrails. #}
{% macro declared_outcomes() %}
    {% if not execute %}{{ return('select 1 as parsed') }}{% endif %}
    {% set selects = [] %}
    {% for study in var('studies') %}
        {% set block = cqox.study_block(study) %}
        {% if block.get('outcome') is string %}
            {% do selects.append(cqox.declared_outcome(study, block['outcome'], 'primary', none, none)) %}
        {% endif %}
        {% for one in cqox.other_outcomes(block) if one.column != block.get('outcome') %}
            {% set role = 'guardrail' if one.role == 'guardrail' else 'secondary' %}
            {% do selects.append(
                cqox.declared_outcome(study, one.column, role, one.desired_direction, one.margin)
            ) %}
        {% endfor %}
    {% endfor %}
    {{ selects | join('\nunion all\n') if selects else cqox.declared_outcome('none', 'none', 'primary', none, none)
        ~ ' where 1 = 0' }}
{% endmacro %}

{% macro declared_outcome(study, outcome, role, direction, margin) %}
    select
        {{ cqox.text_or_null(study) }} as study,
        {{ cqox.text_or_null(outcome) }} as outcome,
        {{ cqox.text_or_null(role) }} as outcome_role,
        {{ cqox.text_or_null(direction) }} as desired_direction,
        {{ cqox.number_or_null(margin) }} as margin
{% endmacro %}

{#
    SHA-256 of a study's name and block, as estimators/study.py hash_of_block: what its estimates were made by is compared
    with what its YAML says now. NULL where the block holds what JSON does not.
#}
{% macro hash_of_block(study, block) -%}
    {%- set written = tojson(block, sort_keys=true) -%}
    {{- cqox.null_text() if written is none else cqox.sha256_text(cqox.text_literal(study ~ ':' ~ written)) -}}
{%- endmacro %}

{# The study block of the study's effects model. #}
{% macro study_block(study) %}
    {% for node in graph.nodes.values() if node.resource_type == 'model' and node.name == study ~ '_effects' %}
        {{ return(node.config.meta.get('study') or {}) }}
    {% endfor %}
    {{ return({}) }}
{% endmacro %}

{% macro text_or_null(value) %}
    {%- set quoted = "'" ~ (value | string | replace("'", "''")) ~ "'" -%}
    {{- return(cqox.null_text() if value is none else cqox.as_text(quoted)) -}}
{% endmacro %}

{% macro number_or_null(value) %}
    {{- return(cqox.null_double() if value is not number else 'cast(' ~ value ~ ' as ' ~ cqox.type_double() ~ ')') -}}
{% endmacro %}
