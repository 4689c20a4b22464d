{#
    Why a study has no scores, or an estimator no weights among them, as estimators/scores.py tells it in the table itself: a
    mapping of column ('' for all of them) to reason and mend. Empty where nothing is told.
#}
{% macro scores_told(scores) %}
    {% set told = {} %}
    {% set columns = cqox.units_columns(scores) %}
    {% if ['status', 'status_reason', 'remedy', 'refusals'] | reject('in', columns) | list | length == 0 %}
        {% for row in run_query('select status, status_reason, remedy, refusals from ' ~ scores ~ ' limit 1').rows %}
            {% if row[0] != 'scored' %}
                {% do told.update({'': [row[1], row[2]]}) %}
            {% elif row[3] %}
                {% do told.update(fromjson(row[3])) %}
            {% endif %}
        {% endfor %}
    {% endif %}
    {{ return(told) }}
{% endmacro %}

{# SQL of reason and mend where a value of the scores, or of one estimator's weights, is not there. #}
{% macro words_without(told, estimator=none, estimand=none) %}
    {% set column = 'weight_' ~ estimator ~ '_' ~ (estimand or '') | lower %}
    {% if '' in told %}
        {% set reason, mend = 'there are no scores: ' ~ told[''][0], told[''][1] %}
    {% elif column in told %}
        {% set reason, mend = estimator ~ ' has no weights for the ' ~ estimand ~ ': ' ~ told[column][0], told[column][1] %}
    {% else %}
        {% set reason, mend = ('the scores are empty' if estimator is none
            else 'the scores are empty, or ' ~ estimator ~ ' has no weights for the ' ~ estimand), none %}
    {% endif %}
    {{ return([
        cqox.as_text(cqox.text_literal(reason)),
        cqox.as_text(cqox.text_literal(mend)) if mend else cqox.null_text(),
    ]) }}
{% endmacro %}
