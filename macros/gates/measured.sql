{#
    When covariates were measured, as estimators/measured.py has it: declared `before` or `after` for all, or by column, or as a
    time that is held against the treatment's.
#}

{# (role, column) of everything that is adjusted for: the covariates in all their forms, and what assigns the treatment. #}
{% macro adjusted_columns(block) %}
    {% set out = [] %}
    {% for role, label in [
        ('covariates', 'covariate'), ('benchmark_covariates', 'benchmark covariate'), ('effect_modifiers', 'effect modifier')
    ] %}
        {% for column in cqox.columns_of_terms(block.get(role)) %}{% do out.append((label, column)) %}{% endfor %}
    {% endfor %}
    {% set specifications = (block.get('specifications') or {}).values() | select('mapping') | list %}
    {% for layer in [block.get('options') or {}] + specifications %}
        {% for name, body in layer.items() if body is mapping %}
            {% set label = {'propensity': 'propensity covariate', 'outcome': 'outcome-model covariate'}.get(
                name, 'covariate of ' ~ name
            ) %}
            {% for key in ['covariates', 'interactions'] %}
                {% for column in cqox.columns_of_terms(cqox.texts_of(body.get(key))) %}
                    {% do out.append((label, column)) %}
                {% endfor %}
            {% endfor %}
        {% endfor %}
    {% endfor %}
    {% if block.get('running') %}{% do out.append(('running variable', block['running'])) %}{% endif %}
    {% for name in block.get('instruments') or [] %}{% do out.append(('instrument', name)) %}{% endfor %}
    {% for name in cqox.predictor_columns(block) %}{% do out.append(('predictor', name)) %}{% endfor %}
    {{ return(out) }}
{% endmacro %}

{# before, after, or none where a column's order is not declared or cannot be known. `measured: after` is of covariates. #}
{% macro order_of(block, role, column) %}
    {% set given = block.get('measured') %}
    {% if given is string %}
        {% set is_covariate = role not in ('running variable', 'instrument', 'predictor') %}
        {{ return(given if is_covariate and given in ('before', 'after') else none) }}
    {% endif %}
    {% set value = given.get(column) if given is mapping else none %}
    {% if value in ('before', 'after') %}{{ return(value) }}{% endif %}
    {% set is_day = block.get('treated_at') is not none %}
    {% set treated = block['treated_at'] if is_day else block.get('intervention_time') %}
    {% if value is none or treated is none %}{{ return(none) }}{% endif %}
    {% if cqox.reads_as_date(value) and cqox.reads_as_date(treated) %}
        {% set one, other = value | string | trim, treated | string | trim %}
    {% elif cqox.reads_as_number(value) and cqox.reads_as_number(treated) %}
        {% set one, other = value | float, treated | float %}
    {% else %}
        {{ return(none) }}
    {% endif %}
    {% if one == other and is_day %}{{ return(none) }}{% endif %}
    {{ return('before' if one < other else 'after') }}
{% endmacro %}

{# A failing contract row for each column that is adjusted for and was measured after treatment. #}
{% macro contract_measured(block) %}
    {% set rows = [] %}
    {% set seen = [] %}
    {% for role, column in cqox.adjusted_columns(block) %}
        {% if column not in seen and cqox.order_of(block, role, column) == 'after' %}
            {% do seen.append(column) %}
            {% set mend = {
                'running variable': 'choose another running variable, which decided the treatment',
                'instrument': 'choose another instrument, which moved the treatment',
                'predictor': 'drop it from the predictors',
            }.get(role, 'drop it, or declare it as `mediator`') %}
            {% do rows.append(cqox.gate_row(
                'contract', cqox.text_literal(column ~ ' measured'), cqox.null_double(), cqox.null_double(), 'false',
                cqox.text_literal('the ' ~ role ~ " '" ~ column ~ "' is declared as measured after treatment: " ~ mend)
            )) %}
        {% endif %}
    {% endfor %}
    {{ return(rows) }}
{% endmacro %}

{# The covariates whose order was not declared, in words for a sentence; none where each was, or there are none. #}
{% macro covariates_undated(block) %}
    {% set known, unknown = [], [] %}
    {% for role, column in cqox.adjusted_columns(block)
        if role not in ('running variable', 'instrument', 'predictor') and column != block.get('treatment') %}
        {% set listed = known if cqox.order_of(block, role, column) == 'before' else unknown %}
        {% if column not in listed %}{% do listed.append(column) %}{% endif %}
    {% endfor %}
    {% if not unknown %}{{ return(none) }}{% endif %}
    {{ return('the covariates' if not known else 'the covariates ' ~ unknown | join(', ')) }}
{% endmacro %}
