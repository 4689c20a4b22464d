{#
    Broken contracts: no rows, a column that is not there, repeated units, text for numbers, NULLs, a treatment that does not
    compare. Severity error; they block everything. estimators/contracts.py holds to the same in Python.
#}
{% macro gate_contract(study, block, units, present) %}
    {% set rows = [cqox.contract_has_rows(units)] %}
    {% set seen = [] %}
    {% for role, name, text_allowed in cqox.declared_columns(block) %}
        {% if name not in seen %}
            {% do seen.append(name) %}
            {% do rows.append(cqox.contract_column(units, present, block, role, name, text_allowed)) %}
        {% endif %}
    {% endfor %}
    {% set keys = [block.get('unit', 'unit_id')] + ([block['time']] if block.get('time') else []) %}
    {% if keys | reject('in', present) | list | length == 0 %}
        {% do rows.append(cqox.contract_unique(units, keys)) %}
    {% endif %}
    {% if block.get('treatment') in present and not cqox.unfit_type(present[block['treatment']], false) %}
        {% do rows.append(cqox.contract_treatment(units, block)) %}
    {% endif %}
    {{ return(rows | join('\nunion all\n')) }}
{% endmacro %}

{% macro contract_has_rows(units) %}
    {{ return(cqox.gate_row(
        'contract', "'rows'", 'n', '1', 'n >= 1',
        "case when n >= 1 then 'the units have ' || " ~ cqox.as_text('n')
        ~ " || ' rows' else 'the units have no rows' end",
        source='(select count(*) as n from ' ~ units ~ ') as counted'
    )) }}
{% endmacro %}

{% macro contract_column(units, present, block, role, name, text_allowed) %}
    {% set subject = cqox.text_literal(name) %}
    {% set column = role ~ " '" ~ name ~ "'" %}
    {% if name not in present %}
        {{ return(cqox.gate_row(
            'contract', subject, cqox.null_double(), cqox.null_double(), 'false',
            cqox.text_literal(
                role ~ " column '" ~ name ~ "' is not in the units; columns there: " ~ present.keys() | join(', ')
            )
        )) }}
    {% endif %}
    {% if cqox.is_text(present[name]) and not text_allowed %}
        {% set mend = ' (write C(' ~ name ~ ') for a category)' if role == 'covariate' else '' %}
        {{ return(cqox.gate_row(
            'contract', subject, cqox.null_double(), cqox.null_double(), 'false',
            cqox.text_literal(column ~ ' holds text' ~ mend)
        )) }}
    {% endif %}
    {% set kind = cqox.kind_of_type(present[name]) %}
    {% if kind == 'nested' or (kind == 'scalar' and not text_allowed) %}
        {# estimators/contracts.py check_types has the same words #}
        {% set mend = 'give one number or one text a row in the units' if kind == 'nested'
            else 'cast it to a number in the units (days since a date, a year)' %}
        {{ return(cqox.gate_row(
            'contract', subject, cqox.null_double(), cqox.null_double(), 'false',
            cqox.text_literal(column ~ ' holds ' ~ present[name] | upper ~ ' values: ' ~ mend)
        )) }}
    {% endif %}
    {#
        Never-treated units have no cohort, `missing: drop` leaves rows out, and a secondary outcome or guardrail with gaps
        is refused by itself: there only a column without a value breaks.
    #}
    {% set lenient = role in ('cohort', 'secondary outcome', 'guardrail') or block.get('missing') == 'drop' %}
    {# A unit of the target population need not have an outcome. #}
    {% set gap = cqox.quoted(name) ~ ' is null' %}
    {% set sample = block.get('sample') %}
    {% if sample in present and not cqox.unfit_type(present[sample], false) and name in cqox.target_gaps(block) %}
        {% set gap = gap ~ ' and coalesce(' ~ cqox.quoted(block['sample']) ~ ', 1) <> 0' %}
    {% endif %}
    {# Without rows there is one breach, which contract_has_rows tells. #}
    {% set passes = 'nulls < n or n = 0' if lenient else 'nulls = 0' %}
    {{ return(cqox.gate_row(
        'contract', subject, 'nulls', 'case when ' ~ lenient | string | lower ~ ' then n - 1 else 0 end', passes,
        'case when n > 0 and nulls = n then ' ~ cqox.text_literal(column ~ ' is NULL in every row')
        ~ ' else ' ~ cqox.text_literal(column ~ ' is NULL in ') ~ ' || ' ~ cqox.as_text('nulls') ~ " || ' of ' || "
        ~ cqox.as_text('n') ~ " || ' rows' end",
        source='(select count(*) as n, coalesce(sum(case when ' ~ gap ~ ' then 1 else 0 end), 0) as nulls from ' ~ units
            ~ ') as counted'
    )) }}
{% endmacro %}

{% macro contract_unique(units, keys) %}
    {% set quoted = [] %}
    {% for key in keys %}{% do quoted.append(cqox.quoted(key)) %}{% endfor %}
    {% set listed = keys | join(', ') %}
    {{ return(cqox.gate_row(
        'contract', cqox.text_literal('unique ' ~ listed), 'repeated', '0', 'repeated = 0',
        cqox.as_text('repeated') ~ ' || ' ~ cqox.text_literal(' rows repeat a value of ' ~ listed),
        source='(select coalesce(sum(copies - 1), 0) as repeated from (select count(*) as copies from ' ~ units
            ~ ' group by ' ~ quoted | join(', ') ~ ') as grouped) as counted'
    )) }}
{% endmacro %}

{% macro contract_treatment(units, block) %}
    {% set treatment = cqox.as_number(block['treatment']) %}
    {% set name = block['treatment'] %}
    {% set two_arms = 'levels = 2 and lowest = 0 and highest = 1' %}
    {# More than ten values are a dose and no arms, as in estimators/contracts.py. #}
    {% set passes, wanted = {
        'experiment': (two_arms, ' (wanted: 0 and 1)'),
        'observational': (two_arms ~ ' or levels > 10', ' (wanted: 0 and 1, or a dose of more than ten values)'),
    }.get(block.get('design'), ('levels >= 2', '')) %}
    {# Without a value there is one breach, which contract_column or contract_has_rows tells. #}
    {{ return(cqox.gate_row(
        'contract', cqox.text_literal(name ~ ' values'), 'levels', '2', '(' ~ passes ~ ' or levels = 0)',
        'case when levels = 1 then ' ~ cqox.text_literal("treatment '" ~ name ~ "' is constant") ~ ' else '
        ~ cqox.text_literal("treatment '" ~ name ~ "' has ") ~ ' || ' ~ cqox.as_text('levels') ~ " || ' values" ~ wanted
        ~ "' end",
        source='(select count(distinct ' ~ treatment ~ ') as levels, min(' ~ treatment ~ ') as lowest, max(' ~ treatment
            ~ ') as highest from ' ~ units ~ ') as counted'
    )) }}
{% endmacro %}
