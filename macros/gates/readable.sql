{#
    A study block as the gates read it: roles that are declared in their shape, and a contract row for each that is not. The
    one place that meets blocks of any shape; behind it a role is a name, a list of terms, or not there.
#}
{% macro readable_block(block) %}
    {% set out = {} %}
    {% set given = block if block is mapping else {} %}
    {% for role in cqox.roles_of_columns() + ['design', 'missing'] %}
        {% if given.get(role) is string and given[role] | trim and not cqox.misread(role, given[role]) %}
            {% do out.update({role: given[role]}) %}
        {% endif %}
    {% endfor %}
    {% for role in cqox.roles_of_lists() %}
        {% if cqox.is_list_of_names(given.get(role)) %}{% do out.update({role: given[role]}) %}{% endif %}
    {% endfor %}
    {% for role in ['secondary_outcomes', 'guardrails'] %}{% do out.update({role: given.get(role)}) %}{% endfor %}
    {% for key in ['options', 'specifications'] if given.get(key) is mapping %}
        {% do out.update({key: given[key]}) %}
    {% endfor %}
    {% if cqox.reads_as_number(given.get('cross_section')) %}
        {% do out.update({'cross_section': given['cross_section']}) %}
    {% elif cqox.reads_as_date(given.get('cross_section')) %}
        {% do out.update({'cross_section': given['cross_section'] | string}) %}
    {% endif %}
    {% for key in ['never', 'frequency', 'cohort_of', 'measured', 'treated_at', 'intervention_time']
        if given.get(key) is not none %}
        {% do out.update({key: given[key]}) %}
    {% endfor %}
    {{ return(out) }}
{% endmacro %}

{# The failing contract rows of what `readable_block` left out, each with the role and the mend. #}
{% macro misdeclared(block) %}
    {% set told = [] %}
    {% set given = block if block is mapping else {} %}
    {% if not given %}
        {% do told.append(('study', 'there is no study block: declare `meta: study:` for the models in the YAML file')) %}
    {% endif %}
    {% for role in cqox.roles_of_columns() + ['design', 'missing'] if given.get(role) is not none %}
        {% set value = given[role] %}
        {% if value is not string or not value | trim %}
            {% do told.append((role, "role '" ~ role ~ "' must be text, not " ~ value | tojson ~ ": write one word")) %}
        {% elif cqox.misread(role, value) %}
            {% do told.append((role, role ~ " '" ~ value ~ "' reads as a term: rename the column in the units")) %}
        {% endif %}
    {% endfor %}
    {% for role in cqox.roles_of_lists() if given.get(role) is not none and not cqox.is_list_of_names(given[role]) %}
        {% do told.append((
            role, "'" ~ role ~ "' must be a list of terms, not " ~ given[role] | tojson ~ ': write [a, b^2, C(c)]'
        )) %}
    {% endfor %}
    {% if given.get('cross_section') is not none and not cqox.reads_as_number(given['cross_section'])
        and not cqox.reads_as_date(given['cross_section']) %}
        {% do told.append((
            'cross_section', "'cross_section' must be a number or a date, not " ~ given['cross_section'] | tojson
            ~ ': write it without quotes or units'
        )) %}
    {% endif %}
    {% if given.get('measured') is not none and given['measured'] not in ('before', 'after')
        and given['measured'] is not mapping %}
        {% do told.append((
            'measured', "'measured' must be before, after or a mapping of columns, not " ~ given['measured'] | tojson
            ~ ': write {column: before}, with before, after, a number or a date each'
        )) %}
    {% endif %}
    {% if given and given.get('design') not in cqox.designs() %}
        {% do told.append((
            'design', "the design " ~ given.get('design') | tojson ~ ' is not known: write one of '
            ~ cqox.designs() | join(', ')
        )) %}
    {% endif %}
    {% set rows = [] %}
    {% set seen = [] %}
    {% for role, reason in told if role not in seen %}
        {% do seen.append(role) %}
        {% do rows.append(cqox.gate_row(
            'contract', cqox.text_literal('role ' ~ role), cqox.null_double(), cqox.null_double(), 'false',
            cqox.text_literal(reason)
        )) %}
    {% endfor %}
    {{ return(rows) }}
{% endmacro %}

{% macro designs() %}
    {{ return([
        'experiment', 'observational', 'iv', 'rd', 'panel', 'synthetic_control', 'its', 'network'
    ]) }}
{% endmacro %}

{% macro roles_of_columns() %}
    {{ return([
        'outcome', 'treatment', 'unit', 'time', 'cohort', 'cluster', 'weight', 'running', 'fold', 'mediator', 'dose',
        'sample', 'arms', 'exposure', 'logged_propensity'
    ]) }}
{% endmacro %}

{% macro roles_of_lists() %}
    {{ return([
        'covariates', 'instruments', 'effect_modifiers', 'negative_control_exposures', 'negative_control_outcomes',
        'benchmark_covariates'
    ]) }}
{% endmacro %}

{% macro is_list_of_names(value) %}
    {% if value is none or value is string or value is mapping or value is not iterable %}{{ return(false) }}{% endif %}
    {% for one in value %}
        {% if one is not string or not one | trim or '' in modules.re.split(':', one | replace(' ', '')) %}
            {{ return(false) }}
        {% endif %}
    {% endfor %}
    {{ return(true) }}
{% endmacro %}

{# Whether a role's column is named as a term would be: `x^2`, C(x), a:b. #}
{% macro misread(role, name) %}
    {% if role not in cqox.roles_of_columns() %}{{ return(false) }}{% endif %}
    {% set parts = cqox.parts_of_term(name) %}
    {{ return(parts | length != 1 or parts[0].column != name) }}
{% endmacro %}

{# Whether a value is a day, such as 2001-03-01. #}
{% macro reads_as_date(value) %}
    {{ return(modules.re.fullmatch('[0-9]{4}-[0-9]{2}-[0-9]{2}', value | string | trim) is not none) }}
{% endmacro %}

{# A declared period as SQL: a number, or a day. #}
{% macro period_literal(value) %}
    {% if cqox.reads_as_date(value) %}{{ return("cast('" ~ value | string | trim ~ "' as date)") }}{% endif %}
    {{ return(value) }}
{% endmacro %}

{% macro reads_as_number(value) %}
    {% if value is number and value is not boolean %}{{ return(true) }}{% endif %}
    {{ return(value is string and modules.re.fullmatch('-?[0-9]+([.][0-9]+)?', value | trim) is not none) }}
{% endmacro %}
