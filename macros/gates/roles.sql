{# The declared roles as lists of raw columns; the terms' columns as in estimators/terms.py. #}

{% macro columns_of_terms(terms) %}
    {% set out = [] %}
    {% for term in terms or [] %}
        {% for part in term.split(':') %}
            {% set inner = modules.re.sub('^(C|log)\\((\\w+)\\)$', '\\2', part | trim) %}
            {% set name = modules.re.sub('\\^[1-9]$', '', inner) %}
            {% if name not in out %}{% do out.append(name) %}{% endif %}
        {% endfor %}
    {% endfor %}
    {{ return(out) }}
{% endmacro %}

{# (role, column, text allowed) of everything that a study declares. #}
{% macro declared_columns(block) %}
    {% set out = [('unit', block.get('unit', 'unit_id'), true)] %}
    {% for role in ['outcome', 'treatment', 'time', 'running', 'weight'] %}
        {% if block.get(role) %}{% do out.append((role, block[role], false)) %}{% endif %}
    {% endfor %}
    {% for role in ['cohort', 'cluster'] %}
        {% if block.get(role) %}{% do out.append((role, block[role], true)) %}{% endif %}
    {% endfor %}
    {% for name in block.get('instruments') or [] %}{% do out.append(('instrument', name, false)) %}{% endfor %}
    {% for term in block.get('covariates') or [] %}
        {% for part in term.split(':') %}
            {% for name in cqox.columns_of_terms([part]) %}
                {% do out.append(('covariate', name, (part | trim).startswith('C('))) %}
            {% endfor %}
        {% endfor %}
    {% endfor %}
    {{ return(out) }}
{% endmacro %}

{# Columns that no statistic can read: not there, or text where a number is asked. Their contract rows tell so. #}
{% macro unreadable_columns(block, present) %}
    {% set out = [] %}
    {% for role, name, text_allowed in cqox.declared_columns(block) %}
        {% if name not in present or (cqox.is_text(present[name]) and not text_allowed) %}
            {% do out.append(name) %}
        {% endif %}
    {% endfor %}
    {{ return(out) }}
{% endmacro %}

{% macro is_text(data_type) %}
    {{ return('char' in data_type or 'text' in data_type or 'string' in data_type) }}
{% endmacro %}
