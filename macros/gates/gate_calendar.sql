{#
    Contract rows of the calendar, as estimators/calendar.py and estimators/panel/left_out.py refuse: months and days coded
    as numbers without a frequency, a cohort that is no period and not declared as `never`, and a treatment that contradicts
    the cohort. Weeks and quarters coded as numbers, and dates, are judged in Python alone, where periods are counted.
#}
{% macro contract_calendar(units, present, block) %}
    {% set rows = [] %}
    {% set time, cohort = block.get('time'), block.get('cohort') %}
    {% set timed = time in present and cqox.kind_of_type(present[time]) == 'number' %}
    {% set dated = cohort in present and cqox.kind_of_type(present[cohort]) == 'number' %}
    {% if timed and not block.get('frequency') %}
        {% do rows.append(cqox.contract_codes(units, block)) %}
    {% endif %}
    {% if timed and dated and not block.get('frequency') %}
        {% do rows.append(cqox.contract_cohort(units, block)) %}
    {% endif %}
    {% set treatment = block.get('treatment') %}
    {% set treated = treatment in present and cqox.kind_of_type(present[treatment]) == 'number' %}
    {% if timed and dated and treated and block.get('cohort_of', 'treatment') == 'treatment' %}
        {% for estimator in ['did', 'synthetic_control', 'synthetic_did', 'twfe', 'tvce_panel'] %}
            {% do rows.append(cqox.contract_path(units, block, estimator)) %}
        {% endfor %}
    {% endif %}
    {{ return(rows) }}
{% endmacro %}

{# SQL that is true where a cohort's number is declared to mean never treated; NULL is asked beside it. #}
{% macro means_never(expression, block) %}
    {% set never = block.get('never') %}
    {% set listed = [never] if never is string or never is not iterable else never %}
    {% set numbers = [] %}
    {% for one in listed if one is not none and cqox.reads_as_number(one) %}{% do numbers.append(one | string) %}{% endfor %}
    {{ return(expression ~ ' in (' ~ numbers | join(', ') ~ ')' if numbers else '1 = 0') }}
{% endmacro %}

{% macro contract_codes(units, block) %}
    {% set time = block['time'] %}
    {% set t = cqox.bounded(cqox.as_number(time)) %}
    {% set year_month = 'low >= 190001 and high <= 210012 and months = n and years > 1' %}
    {% set whole_day = 'low >= 19000101 and high <= 21001231 and days = n and hundreds > 1' %}
    {% set hundred = 'floor(t / 100)' %}
    {% set part = '(t - 100 * floor(t / 100))' %}
    {% set month = '(floor(t / 100) - 100 * floor(t / 10000))' %}
    {{ return(cqox.gate_row(
        'contract', cqox.text_literal(time ~ ' periods'), 'coded', '0', 'coded = 0',
        'case when coded = 0 then ' ~ cqox.text_literal("time '" ~ time ~ "' holds numbers of periods") ~ ' else '
        ~ cqox.text_literal("time '" ~ time ~ "' holds periods coded as numbers, whose steps differ where a month or year "
            ~ 'ends: declare `frequency: month` (yyyymm) or `frequency: day` (yyyymmdd), or number them in the units')
        ~ ' end',
        source='(select case when (' ~ year_month ~ ') or (' ~ whole_day ~ ') then 1 else 0 end as coded from (select '
            ~ 'count(*) as n, min(t) as low, max(t) as high, count(distinct ' ~ hundred ~ ') as hundreds, '
            ~ 'count(distinct ' ~ hundred ~ ') as years, '
            ~ 'coalesce(sum(case when t = floor(t) and ' ~ part ~ ' between 1 and 12 then 1 else 0 end), 0) as months, '
            ~ 'coalesce(sum(case when t = floor(t) and ' ~ part ~ ' between 1 and 31 and ' ~ month
            ~ ' between 1 and 12 then 1 else 0 end), 0) as days from (select distinct ' ~ t ~ ' as t from ' ~ units
            ~ ') as listed where t is not null) as summed) as counted'
    )) }}
{% endmacro %}

{# A cohort with a sign that no period has, of nines, or far from all periods: by `_check_cohorts` of estimators/calendar.py. #}
{% macro contract_cohort(units, block) %}
    {% set time, cohort = block['time'], block['cohort'] %}
    {% set t, g = cqox.bounded(cqox.as_number(time)), cqox.bounded(cqox.as_number(cohort)) %}
    {% set strange = '((g < 0 and low >= 0) or (g <= 0 and low > 0) or g = 0 or (g > high and g in (99, 999, 9999, 99999, 999999)) '
        ~ 'or g > high + far or g < low - far)' %}
    {{ return(cqox.gate_row(
        'contract', cqox.text_literal(cohort ~ ' cohorts'), 'strangers', '0', 'strangers = 0',
        'case when strangers = 0 then ' ~ cqox.text_literal("every cohort '" ~ cohort ~ "' is a period, or means never")
        ~ ' else ' ~ cqox.text_literal("cohort '" ~ cohort ~ "' holds ") ~ ' || case when example = floor(example) and abs(example) < 1e15 then '
        ~ cqox.as_text('cast(example as bigint)') ~ ' else ' ~ cqox.as_text('example') ~ ' end || '
        ~ cqox.text_literal(", which is no period of '" ~ time ~ "': declare it as `never:` if such units are never treated, "
            ~ 'or make it NULL') ~ ' end',
        source='(select coalesce(sum(case when (g < low or g > high) and ' ~ strange ~ ' then 1 else 0 end), 0) as strangers, '
            ~ 'min(case when (g < low or g > high) and ' ~ strange ~ ' then g end) as example from '
            ~ '(select distinct ' ~ g ~ ' as g from ' ~ units ~ ') as cohorts cross join (select low, high, '
            ~ '10 * case when high - low > 1 then high - low else 1 end as far from (select min(' ~ t ~ ') as low, max(' ~ t
            ~ ') as high from ' ~ units ~ ') as span) as periods where g is not null and not (' ~ cqox.means_never('g', block)
            ~ ')) as counted'
    )) }}
{% endmacro %}

{# The treatment of zeros and ones is 1{t >= cohort}, where it changes within any unit. #}
{% macro contract_path(units, block, estimator) %}
    {% set treatment, cohort = block['treatment'], block['cohort'] %}
    {% set d = cqox.bounded(cqox.as_number(treatment)) %}
    {% set t, g = cqox.bounded(cqox.as_number(block['time'])), cqox.bounded(cqox.as_number(cohort)) %}
    {% set untreated = '(g is null or ' ~ cqox.means_never('g', block) ~ ' or t < g)' %}
    {% set unit = cqox.quoted(block.get('unit', 'unit_id')) %}
    {{ return(cqox.gate_row(
        'contract', cqox.text_literal(treatment ~ ' and ' ~ cohort), 'wrong', '0', 'wrong = 0 or varies = 0 or odd > 0',
        'case when wrong = 0 or varies = 0 or odd > 0 then '
        ~ cqox.text_literal("the treatment '" ~ treatment ~ "' does not contradict the cohort '" ~ cohort ~ "'") ~ ' else '
        ~ cqox.text_literal("the treatment '" ~ treatment ~ "' contradicts the cohort '" ~ cohort ~ "': it is 1 before the "
            ~ "cohort's first period or 0 from it on in ") ~ ' || ' ~ cqox.as_text('wrong') ~ ' || '
        ~ cqox.text_literal(' rows: mend one of the two, or declare `cohort_of: intervention` where the cohort dates '
            ~ 'something else') ~ ' end',
        estimator=cqox.text_literal(estimator),
        source='(select coalesce(sum(wrong), 0) as wrong, coalesce(sum(odd), 0) as odd, '
            ~ 'coalesce(max(case when lowest < highest then 1 else 0 end), 0) as varies from (select u, '
            ~ 'sum(case when (d = 1 and ' ~ untreated ~ ') or (d = 0 and not ' ~ untreated ~ ') then 1 else 0 end) as wrong, '
            ~ 'sum(case when d not in (0, 1) then 1 else 0 end) as odd, min(d) as lowest, max(d) as highest from (select '
            ~ unit ~ ' as u, ' ~ d ~ ' as d, ' ~ t ~ ' as t, ' ~ g ~ ' as g from ' ~ units ~ ') as held group by u) as paths) '
            ~ 'as counted'
    )) }}
{% endmacro %}
