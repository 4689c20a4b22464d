{#
    What the study's roles ask of its gates file and was not given, as failing contract rows: the one place that refuses a
    gates file. Scores are asked of two arms only, which the data tell: no row where the treatment is a dose.
#}
{% macro gate_inputs(study, block, units, present, scores, design) %}
    {% set rows = [] %}
    {% if design is none and cqox.asks_design(block) %}
        {% do rows.append(cqox.missing_input(study, 'design', '')) %}
    {% endif %}
    {% if scores is none and cqox.asks_scores(block, present) %}
        {% set treatment = cqox.as_number(block['treatment']) %}
        {% do rows.append(cqox.missing_input(study, 'scores',
            'from (select count(distinct ' ~ treatment ~ ') as levels, min(' ~ treatment ~ ') as lowest, max(' ~ treatment
            ~ ') as highest from ' ~ units ~ ') as counted where levels = 2 and lowest = 0 and highest = 1'
        )) %}
    {% endif %}
    {{ return(rows) }}
{% endmacro %}

{% macro missing_input(study, argument, source) %}
    {{ return(cqox.gate_row(
        'contract', cqox.text_literal(argument), cqox.null_double(), cqox.null_double(), 'false',
        cqox.text_literal(
            study ~ "_gates.sql gives study_gates() no " ~ argument ~ ", which the study's roles ask for: add the model "
            ~ study ~ '_' ~ argument ~ ' (python_models/' ~ study ~ '_' ~ argument ~ '.py, and its entry in the YAML) and '
            ~ argument ~ "=ref('" ~ study ~ '_' ~ argument ~ "')"
        )
    ) ~ ' ' ~ source) }}
{% endmacro %}

{# Whether a study's roles or its design ask for a design table. #}
{% macro asks_design(block) %}
    {{ return((block.get('treatment') and block.get('covariates') and true) or cqox.design_checks(block) | length > 0) }}
{% endmacro %}

{# Whether they ask for scores: two arms and covariates, compared as they are. #}
{% macro asks_scores(block, present) %}
    {% set treatment = block.get('treatment') %}
    {{ return(
        block.get('design') in ('experiment', 'observational') and block.get('covariates') and treatment in present
        and not cqox.unfit_type(present[treatment], false)
    ) }}
{% endmacro %}

{# SQL of why the design table has no row of a metric: what it says of itself, or where to mend it. #}
{% macro no_metric(study, metric) %}
    {% set mend = {
        'smd': 'the study could not be read, or design() was given no scores: mend what the contract gates tell, and give '
            ~ "scores=dbt.ref('" ~ study ~ "_scores') in python_models/" ~ study ~ '_design.py',
    }.get(metric, 'the study could not be read: mend what the contract gates tell') %}
    {{ return(cqox.text_literal('the design table has no ' ~ metric ~ ': ' ~ mend)) }}
{% endmacro %}
