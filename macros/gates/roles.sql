{# The declared roles as lists of raw columns; the terms' columns as in estimators/terms.py. #}

{% macro columns_of_terms(terms) %}
    {% set out = [] %}
    {% for term in terms or [] %}
        {% for part in cqox.parts_of_term(term) %}
            {% if part.column not in out %}{% do out.append(part.column) %}{% endif %}
        {% endfor %}
    {% endfor %}
    {{ return(out) }}
{% endmacro %}

{# (role, column, text allowed) of everything that a study declares. #}
{% macro declared_columns(block) %}
    {% set out = [('unit', block.get('unit', 'unit_id'), true)] %}
    {% for role in [
        'outcome', 'treatment', 'time', 'running', 'weight', 'fold', 'sample', 'mediator', 'dose', 'exposure',
        'logged_propensity'
    ] %}
        {% if block.get(role) %}{% do out.append((role | replace('_', ' '), block[role], false)) %}{% endif %}
    {% endfor %}
    {% for role, label, text_allowed in [('cohort', 'cohort', block.get('never') is not none), ('cluster', 'cluster', true), ('arms', 'arm', true)] %}
        {% if block.get(role) %}{% do out.append((label, block[role], text_allowed)) %}{% endif %}
    {% endfor %}
    {% for name in block.get('instruments') or [] %}{% do out.append(('instrument', name, false)) %}{% endfor %}
    {% for role, label in [
        ('covariates', 'covariate'), ('benchmark_covariates', 'covariate'), ('effect_modifiers', 'effect modifier'),
        ('negative_control_exposures', 'negative control'), ('negative_control_outcomes', 'negative control'),
        ('options', 'covariate')
    ] %}
        {% for term in (cqox.terms_of_options(block) if role == 'options' else block.get(role) or []) %}
            {% for part in cqox.parts_of_term(term) %}
                {% do out.append((label, part.column, part.kind == 'category')) %}
            {% endfor %}
        {% endfor %}
    {% endfor %}
    {% for outcome in cqox.other_outcomes(block) %}{% do out.append((outcome.role, outcome.column, false)) %}{% endfor %}
    {{ return(out) }}
{% endmacro %}

{#
    The secondary outcomes and guardrails of a block, once each, as mappings: column, role, desired_direction, margin. What
    is declared in another shape is left out: the effects tell that it is wrong.
#}
{% macro other_outcomes(block) %}
    {% set out = [] %}
    {% set seen = [] %}
    {% set secondary = block.get('secondary_outcomes') or [] %}
    {% set is_list = secondary is iterable and secondary is not string and secondary is not mapping %}
    {% for column in (secondary if is_list else []) %}
        {% if column is string and column not in seen %}
            {% do seen.append(column) %}
            {% do out.append({
                'column': column, 'role': 'secondary outcome', 'desired_direction': none, 'margin': none
            }) %}
        {% endif %}
    {% endfor %}
    {% set guardrails = block.get('guardrails') or {} %}
    {% for column in (guardrails if guardrails is mapping else {}) if column is string and column not in seen %}
        {% set body = guardrails[column] if guardrails[column] is mapping else {} %}
        {% do seen.append(column) %}
        {% do out.append({
            'column': column, 'role': 'guardrail', 'desired_direction': body.get('desired_direction'),
            'margin': body.get('margin')
        }) %}
    {% endfor %}
    {{ return(out) }}
{% endmacro %}

{#
    The rows whose declared weight is not zero, as estimators/contracts.py weighing: a row of weight zero stands for nobody,
    whatever it holds. A relation, or a query in brackets that wants an alias.
#}
{% macro weighing(block, units, present) %}
    {% set weight = block.get('weight') %}
    {% if weight not in present or cqox.unfit_type(present[weight], false) %}{{ return(units) }}{% endif %}
    {# Postgres casts no boolean to a number with places. #}
    {% set is_truth = modules.re.match('bool', present[weight] | lower) is not none %}
    {% set weighs = 'coalesce(' ~ cqox.quoted(weight) ~ ', true)' if is_truth
        else 'coalesce(' ~ cqox.as_number(weight) ~ ', 1) <> 0' %}
    {{ return('(select * from ' ~ units ~ ' where ' ~ weighs ~ ')') }}
{% endmacro %}

{#
    The rows that one-row-a-unit estimators read: the period cross_section (the last by default), and the study's own
    population where a target population stands beside it. A relation, or a query in brackets that wants an alias.
#}
{% macro rows_of_units(block, units) %}
    {% set conditions = [] %}
    {% if block.get('time') and block.get('cross_section') is not none %}
        {% do conditions.append(cqox.quoted(block['time']) ~ ' = ' ~ cqox.period_literal(block['cross_section'])) %}
    {% elif block.get('time') %}
        {% do conditions.append(
            cqox.quoted(block['time']) ~ ' = (select max(' ~ cqox.quoted(block['time']) ~ ') from ' ~ units ~ ')'
        ) %}
    {% endif %}
    {% if block.get('sample') %}{% do conditions.append(cqox.quoted(block['sample']) ~ ' = 1') %}{% endif %}
    {{ return(
        '(select * from ' ~ units ~ ' where ' ~ conditions | join(' and ') ~ ')' if conditions else units | string
    ) }}
{% endmacro %}

{# Columns that units of the target population (sample 0) need not have, as estimators/contracts.py target_gaps. #}
{% macro target_gaps(block) %}
    {# asked for every column: without a target population the roles are not gone through each time #}
    {% if not block.get('sample') %}{{ return([]) }}{% endif %}
    {% set known = [block.get('unit', 'unit_id')] %}
    {% for role in ['time', 'cluster', 'weight', 'fold', 'sample'] %}
        {% if block.get(role) %}{% do known.append(block[role]) %}{% endif %}
    {% endfor %}
    {% for role in ['covariates', 'benchmark_covariates', 'effect_modifiers'] %}
        {% do known.extend(cqox.columns_of_terms(block.get(role))) %}
    {% endfor %}
    {% do known.extend(cqox.columns_of_terms(cqox.terms_of_options(block))) %}
    {% set out = [] %}
    {% for role, name, text_allowed in cqox.declared_columns(block) %}
        {% if name not in known %}{% do out.append(name) %}{% endif %}
    {% endfor %}
    {{ return(out) }}
{% endmacro %}

{# Columns that no statistic can read: not there, or text where a number is asked. Their contract rows tell so. #}
{% macro unreadable_columns(block, present) %}
    {% set out = [] %}
    {% for role, name, text_allowed in cqox.declared_columns(block) %}
        {% set timed = role in ('time', 'cohort') and cqox.is_clock(present.get(name, '')) %}
        {% if name not in present or (cqox.unfit_type(present[name], text_allowed) and not timed) %}
            {% do out.append(name) %}
        {% endif %}
    {% endfor %}
    {{ return(out) }}
{% endmacro %}

{# number, text, nested (lists, structures and bytes, which no role can be), or scalar: a date, a time, a UUID. #}
{% macro kind_of_type(data_type) %}
    {% set kind = data_type | lower %}
    {% if modules.re.match('.*\\]$|(struct|map|union|list|array|blob|bytea|binary|variant|row)', kind) %}
        {{ return('nested') }}
    {% elif modules.re.match('(char|varchar|bpchar|character|text|string|enum|json|name)', kind) %}
        {{ return('text') }}
    {% elif modules.re.match('(interval|date|time|uuid|bit)', kind) %}
        {{ return('scalar') }}
    {% endif %}
    {{ return('number') }}
{% endmacro %}

{# Whether a type is a day or a moment, which the roles time and cohort may be: estimators/calendar.py counts its periods. #}
{% macro is_clock(data_type) %}{{ return(modules.re.match('(date|timestamp)', data_type | lower) is not none) }}{% endmacro %}

{# Whether a type is text to the estimators: whatever is no number and no boolean, dates too. #}
{% macro is_text(data_type) %}{{ return(cqox.kind_of_type(data_type) != 'number') }}{% endmacro %}

{# Whether a column of a type cannot be read in a role. #}
{% macro unfit_type(data_type, text_allowed) %}
    {% set kind = cqox.kind_of_type(data_type) %}
    {{ return(kind == 'nested' or (kind in ('text', 'scalar') and not text_allowed)) }}
{% endmacro %}
