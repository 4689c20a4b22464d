{# The texts of a list, and no texts of anything else. #}
{% macro texts_of(value) %}
    {% set is_list = value is iterable and value is not string and value is not mapping %}
    {{ return((value if is_list else []) | select('string') | list) }}
{% endmacro %}

{# Terms named by options and specifications, as Study.terms() of estimators/study.py has them beside the roles'. #}
{% macro terms_of_options(block) %}
    {% set out = [] %}
    {% set specifications = (block.get('specifications') or {}).values() | select('mapping') | list %}
    {% for layer in [block.get('options') or {}] + specifications %}
        {% for body in layer.values() if body is mapping %}
            {% for key in ['covariates', 'interactions', 'instruments', 'evaluated_policy', 'arrival'] %}
                {% do out.extend(cqox.texts_of(body.get(key))) %}
            {% endfor %}
        {% endfor %}
    {% endfor %}
    {{ return(out) }}
{% endmacro %}

{# Columns that only predict a synthetic control: they must be there, and may have gaps. #}
{% macro predictor_columns(block) %}
    {% set out = [] %}
    {% set specifications = (block.get('specifications') or {}).values() | select('mapping') | list %}
    {% for layer in [block.get('options') or {}] + specifications %}
        {% set own = layer.get('synthetic_control') %}
        {% set predictors = own.get('predictors') if own is mapping else none %}
        {% for column in (predictors if predictors is mapping else {}) %}
            {% if column not in out %}{% do out.append(column | string) %}{% endif %}
        {% endfor %}
    {% endfor %}
    {{ return(out) }}
{% endmacro %}
