{#
    Broken contracts: no rows, a column that is not there, repeated units, text for numbers, NULLs, a treatment that does not
    compare. Severity error; they block everything. estimators/contracts.py holds to the same in Python, with the same rule of
    what counts as a value (macros/statistics/bounds.sql).
#}
{% macro gate_contract(study, block, units, present) %}
    {% set rows = [cqox.contract_has_rows(units, block, present)] %}
    {% set declared = cqox.declared_columns(block) %}
    {# A column that stands in two roles holds to both. #}
    {% set numbers = declared | rejectattr(2) | map(attribute=1) | list %}
    {% set seen = [] %}
    {% for role, name, text_allowed in declared %}
        {% if name not in seen %}
            {% do seen.append(name) %}
            {% set is_free = text_allowed and name not in numbers %}
            {% do rows.append(cqox.contract_column(units, present, block, role, name, is_free)) %}
        {% endif %}
    {% endfor %}
    {% for name in cqox.predictor_columns(block) if name not in seen and name not in present %}
        {% do rows.append(cqox.contract_column(units, present, block, 'predictor', name, true)) %}
    {% endfor %}
    {% set keys = [block.get('unit', 'unit_id')] + ([block['time']] if block.get('time') else []) %}
    {% if keys | reject('in', present) | list | length == 0 %}
        {% do rows.append(cqox.contract_unique(units, present, keys)) %}
    {% endif %}
    {% if block.get('treatment') in present and not cqox.unfit_type(present[block['treatment']], false) %}
        {% do rows.append(cqox.contract_treatment(units, block)) %}
    {% endif %}
    {% if block.get('sample') in present and not cqox.is_text(present[block['sample']]) %}
        {% do rows.append(cqox.contract_sample(units, block)) %}
    {% endif %}
    {% if block.get('cross_section') is not none and block.get('time') in present and cqox.reads_as_date(block['cross_section']) == cqox.is_clock(present[block['time']]) and cqox.kind_of_type(present[block['time']]) in ('number', 'scalar') %}
        {% do rows.append(cqox.contract_period(units, block)) %}
    {% endif %}
    {% do rows.extend(cqox.contract_calendar(units, present, block)) %}
    {% do rows.extend(cqox.contract_measured(block)) %}
    {% if block.get('missing') == 'drop' and declared | map(attribute=1) | reject('in', present) | list | length == 0 %}
        {% do rows.append(cqox.contract_complete_rows(units, present, block)) %}
    {% endif %}
    {{ return(rows | join('\nunion all\n')) }}
{% endmacro %}

{# `units` are those with a weight: without any, every weight is zero or there are no rows. #}
{% macro contract_has_rows(units, block, present) %}
    {% set none_left = 'the units have no rows' %}
    {% if block.get('weight') in present %}
        {% set none_left = none_left ~ ", or the weight '" ~ block['weight'] ~ "' is zero in every row" %}
    {% endif %}
    {{ return(cqox.gate_row(
        'contract', "'rows'", 'n', '1', 'n >= 1',
        "case when n >= 1 then 'the units have ' || " ~ cqox.as_text('n')
        ~ " || ' rows' else " ~ cqox.text_literal(none_left) ~ ' end',
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
    {% if cqox.kind_of_type(present[name]) == 'text' and not text_allowed %}
        {% set mend = ' (write C(' ~ name ~ ') for a category)' if role == 'covariate' else '' %}
        {{ return(cqox.gate_row(
            'contract', subject, cqox.null_double(), cqox.null_double(), 'false',
            cqox.text_literal(column ~ ' holds text' ~ mend)
        )) }}
    {% endif %}
    {% set kind = cqox.kind_of_type(present[name]) %}
    {% set timed = role in ('time', 'cohort') and cqox.is_clock(present[name]) %}
    {% if kind == 'nested' or (kind == 'scalar' and not text_allowed and not timed) %}
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
    {% set others = ('cohort', 'secondary outcome', 'guardrail') %}
    {% set lenient = role in others or (block.get('missing') == 'drop' and role != 'unit') %}
    {% set gap = cqox.gap(name, present, block) %}
    {# Without rows there is one breach, which contract_has_rows tells. #}
    {% set passes = 'nulls < n or n = 0' if lenient else 'nulls = 0' %}
    {% set low, high = cqox.size_limits(role) %}
    {% set is_sized = 'infinite = 0 and coalesce(largest = 0 or (largest >= ' ~ low ~ ' and largest <= ' ~ high
        ~ ' and odd = 0), true)' %}
    {% set words = column ~ ' holds ' %}
    {{ return(cqox.gate_row(
        'contract', subject, 'case when ' ~ is_sized ~ ' then nulls when wild + odd > 0 then wild + odd else n end',
        'case when ' ~ is_sized ~ ' and ' ~ lenient | string | lower ~ ' then n - 1 else 0 end',
        '(' ~ passes ~ ') and ' ~ is_sized,
        'case when n > 0 and nulls = n then ' ~ cqox.text_literal(column ~ ' is NULL in every row')
        ~ ' when odd > 0 then ' ~ cqox.text_literal(words ~ 'text: whole numbers beyond 2^53')
        ~ ' when infinite > 0 then ' ~ cqox.text_literal(words ~ 'infinities')
        ~ ' when largest > ' ~ high ~ ' then ' ~ cqox.text_literal(words ~ 'numbers beyond ' ~ high | replace('e', 'e+'))
        ~ ' when largest > 0 and largest < ' ~ low ~ ' then '
        ~ cqox.text_literal(words ~ 'no number of ' ~ low ~ ' or more in size')
        ~ ' else ' ~ cqox.text_literal(column ~ ' is NULL in ') ~ ' || ' ~ cqox.as_text('nulls') ~ " || ' of ' || "
        ~ cqox.as_text('n') ~ " || ' rows' end",
        source='(select count(*) as n, coalesce(sum(case when ' ~ gap ~ ' then 1 else 0 end), 0) as nulls, '
            ~ cqox.contract_sizes(role, name, present[name], text_allowed) ~ ' from ' ~ units ~ ') as counted'
    )) }}
{% endmacro %}

{# SQL that is true where a row lacks a value that it needs: a unit of the target population need not have an outcome. #}
{% macro gap(name, present, block) %}
    {% set gap = cqox.is_missing(name, present[name]) %}
    {% set sample = block.get('sample') %}
    {% if sample in present and not cqox.unfit_type(present[sample], false) and name in cqox.target_gaps(block) %}
        {% set gap = gap ~ ' and coalesce(' ~ cqox.quoted(sample) ~ ', 1) <> 0' %}
    {% endif %}
    {{ return(gap) }}
{% endmacro %}

{#
    Counts of what is wrong with the numbers of a column: infinite; wild (infinite or too large); odd (whole numbers where a
    number is asked that floating point cannot hold); and the largest size. Labels of units have no size, and a cohort beyond
    the last period is one that is never treated.
#}
{% macro contract_sizes(role, name, data_type, text_allowed) %}
    {% if role in ('unit', 'cohort') or not cqox.is_numeric(data_type) %}
        {{ return('0 as infinite, 0 as wild, 0 as odd, ' ~ cqox.null_double() ~ ' as largest') }}
    {% endif %}
    {% set size = 'abs(' ~ cqox.as_number(name) ~ ')' %}
    {% set infinity = "cast('Infinity' as " ~ cqox.type_double() ~ ')' %}
    {% set low, high = cqox.size_limits(role) %}
    {% set counts = [] %}
    {% set odd = size ~ ' > 9007199254740992' if cqox.is_whole(data_type) and not text_allowed else '1 = 0' %}
    {% for label, condition in [
        ('infinite', size ~ ' = ' ~ infinity), ('wild', size ~ ' > ' ~ high ~ ' and ' ~ size ~ ' <= ' ~ infinity), ('odd', odd)
    ] %}
        {% do counts.append('coalesce(sum(case when ' ~ condition ~ ' then 1 else 0 end), 0) as ' ~ label) %}
    {% endfor %}
    {% set largest = 'max(case when ' ~ size ~ ' < ' ~ infinity ~ ' then ' ~ size ~ ' end) as largest' %}
    {{ return((counts + [largest]) | join(', ')) }}
{% endmacro %}

{% macro contract_unique(units, present, keys) %}
    {% set quoted = [] %}
    {# A row without its name or period is told as that, and repeats no other. #}
    {% set named = [] %}
    {% for key in keys %}
        {% do quoted.append(cqox.quoted(key)) %}
        {% do named.append('not ' ~ cqox.is_missing(key, present[key])) %}
    {% endfor %}
    {% set listed = keys | join(', ') %}
    {{ return(cqox.gate_row(
        'contract', cqox.text_literal('unique ' ~ listed), 'repeated', '0', 'repeated = 0',
        cqox.as_text('repeated') ~ ' || ' ~ cqox.text_literal(' rows repeat a value of ' ~ listed),
        source='(select coalesce(sum(copies - 1), 0) as repeated from (select count(*) as copies from ' ~ units
            ~ ' where ' ~ named | join(' and ') ~ ' group by ' ~ quoted | join(', ') ~ ') as grouped) as counted'
    )) }}
{% endmacro %}

{% macro contract_treatment(units, block) %}
    {% set treatment = cqox.bounded(cqox.as_number(block['treatment'])) %}
    {% set name = block['treatment'] %}
    {% set two_arms = 'levels = 2 and lowest = 0 and highest = 1' %}
    {# 0, 1 and up to eight others are arms; other values, or many, are a dose, as in estimators/contracts.py. #}
    {% set dose = 'levels > 10 or (levels > 2 and (zeros = 0 or ones = 0))' %}
    {# A dose may be drawn by lot as well as chosen. #}
    {% set compared = block.get('design') in ('experiment', 'observational') %}
    {% set passes = two_arms ~ ' or ' ~ dose if compared else '(' ~ two_arms ~ ') or levels > 2' %}
    {% set wanted = ' (wanted: 0 and 1, or a dose' ~ (' of more than ten values' if compared else '') ~ ')' %}
    {# Without a value there is one breach, which contract_column or contract_has_rows tells. #}
    {{ return(cqox.gate_row(
        'contract', cqox.text_literal(name ~ ' values'), 'levels', '2', '(' ~ passes ~ ' or levels = 0)',
        'case when levels = 1 and lowest = round(lowest) and abs(lowest) < 1e15 then '
        ~ cqox.text_literal("treatment '" ~ name ~ "' is constant at ")
        ~ ' || ' ~ cqox.as_text('cast(lowest as bigint)') ~ ' when levels = 1 then '
        ~ cqox.text_literal("treatment '" ~ name ~ "' is constant") ~ ' else '
        ~ cqox.text_literal("treatment '" ~ name ~ "' has ") ~ ' || ' ~ cqox.as_text('levels') ~ " || ' values" ~ wanted
        ~ "' end",
        source='(select count(distinct arm) as levels, min(arm) as lowest, max(arm) as highest, '
            ~ 'sum(case when arm = 0 then 1 else 0 end) as zeros, sum(case when arm = 1 then 1 else 0 end) as ones '
            ~ 'from (select ' ~ treatment ~ ' as arm from ' ~ units ~ ') as treated) as counted'
    )) }}
{% endmacro %}

{% macro contract_sample(units, block) %}
    {% set name = block['sample'] %}
    {{ return(cqox.gate_row(
        'contract', cqox.text_literal(name ~ ' values'), 'levels', '2',
        '(levels = 2 and lowest = 0 and highest = 1) or levels = 0',
        cqox.text_literal("sample '" ~ name ~ "' has ") ~ ' || ' ~ cqox.as_text('levels')
        ~ " || ' values (wanted: 1 for units of the study and 0 for the target population)'",
        source='(select count(distinct part) as levels, min(part) as lowest, max(part) as highest from (select '
            ~ cqox.bounded(cqox.as_number(name)) ~ ' as part from ' ~ units ~ ') as parts) as counted'
    )) }}
{% endmacro %}

{# The period for one-row-a-unit estimators has rows. #}
{% macro contract_period(units, block) %}
    {% set period = cqox.text_literal(block['cross_section']) %}
    {{ return(cqox.gate_row(
        'contract', "'cross_section'", 'inside', '1', 'n = 0 or inside > 0',
        cqox.as_text('inside') ~ " || ' rows lie in the period cross_section: ' || " ~ period,
        source='(select count(*) as n, coalesce(sum(case when ' ~ cqox.quoted(block['time']) ~ ' = ' ~ cqox.period_literal(block['cross_section'])
            ~ ' then 1 else 0 end), 0) as inside from ' ~ units ~ ') as counted'
    )) }}
{% endmacro %}

{# What `missing: drop` leaves must still be a study: some rows, and treated and untreated ones among them. #}
{% macro contract_complete_rows(units, present, block) %}
    {% set optional = ['cohort', 'secondary outcome', 'guardrail'] %}
    {% set gaps = [] %}
    {% for role, name, text_allowed in cqox.declared_columns(block) if role not in optional %}
        {% set gap = '(' ~ cqox.gap(name, present, block) ~ ')' %}
        {% if gap not in gaps %}{% do gaps.append(gap) %}{% endif %}
    {% endfor %}
    {# A column without any value is one breach, which contract_column tells. #}
    {% set listed, empty = [], [] %}
    {% for gap in gaps %}
        {% do listed.append('case when ' ~ gap ~ ' then 1 else 0 end as gap_' ~ loop.index) %}
        {% do empty.append('case when sum(gap_' ~ loop.index ~ ') = count(*) then 1 else 0 end') %}
    {% endfor %}
    {% set treatment = block.get('treatment') %}
    {% set is_treated = treatment and not cqox.is_text(present[treatment]) %}
    {% set arm = cqox.bounded(cqox.as_number(treatment)) if is_treated else cqox.null_double() %}
    {% set constant = cqox.text_literal("treatment '" ~ treatment ~ "' is constant in the ") ~ ' || '
        ~ cqox.as_text('whole') ~ " || ' rows without a missing value'" %}
    {{ return(cqox.gate_row(
        'contract', "'complete rows'", 'whole', '1',
        'n = 0 or empty > 0 or (whole > 0 and levels ' ~ ('<> 1' if is_treated else '= 0') ~ ')',
        "case when whole = 0 then 'every row lacks a value in some column' when levels = 1 then " ~ constant ~ ' else '
        ~ cqox.as_text('whole') ~ " || ' of ' || " ~ cqox.as_text('n') ~ " || ' rows lack no value' end",
        source='(select count(*) as n, coalesce(sum(is_whole), 0) as whole, count(distinct case when is_whole = 1 then arm end) '
            ~ 'as levels, ' ~ empty | join(' + ') ~ ' as empty from (select case when ' ~ gaps | join(' or ')
            ~ ' then 0 else 1 end as is_whole, ' ~ listed | join(', ') ~ ', ' ~ arm ~ ' as arm from ' ~ units
            ~ ') as marked) as counted'
    )) }}
{% endmacro %}
