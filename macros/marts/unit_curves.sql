{# Curves of a study's units that need no scores. #}

{# Pearson's correlation of each two of the covariates' columns: series and x_label are the two, x is the second's place. #}
{% macro covariate_correlations(study, columns, rows) %}
    {% set pairs %}
    (
        select unnest([
            {% for a in columns %}
            {% set outer = loop %}
            {% for b in columns %}
            {
                'first': {{ cqox.text_literal(a.name) }}, 'second': {{ cqox.text_literal(b.name) }},
                'place': {{ loop.index }}, 'value': corr({{ cqox.finite(a.sql) }}, {{ cqox.finite(b.sql) }})
            }{{ ',' if not (outer.last and loop.last) }}
            {% endfor %}
            {% endfor %}
        ]) as pair
        from {{ rows }} as rows_of_units
    ) as pairs
    {% endset %}
    {{ cqox.plain_points(
        study, 'covariate_correlation', 'pair.first', 'pair.place', 'pair.value', pairs, label='pair.second'
    ) }}
    where pair.value is not null and not isnan(pair.value)
{% endmacro %}

{# A number, NULL where it is none: sums over infinity would cost all studies their curves. #}
{% macro finite(expression) -%}
    case when isfinite(cast({{ expression }} as double)) then cast({{ expression }} as double) end
{%- endmacro %}

{#
    The mean outcome by period with a 95 % interval: outcome_series of all units, or cohort_path of those with the same
    first treated period; units that are never treated have no cohort, one that the study declares as `never`, or one after the last period.
    Of dates (`dated`) x is a year with decimals, and x_label the day.
#}
{% macro outcome_paths(study, block, units, cohort, dated=false) %}
    {% set time = cqox.quoted(block['time']) if dated else cqox.as_number(block['time']) %}
    {% set outcome = cqox.as_number(block['outcome']) %}
    {% set first = (cqox.quoted(cohort) if dated else cqox.as_number(cohort)) if cohort else none %}
    select
        {{ cqox.curve_key(study, 'cohort_path' if cohort else 'outcome_series') }},
        series,
        {{ cqox.year_of('period') if dated else 'period' }} as x,
        {{ "strftime(period, '%Y-%m-%d')" if dated else cqox.null_text() }} as x_label,
        avg(outcome) as y,
        avg(outcome) - 1.959964 * stddev_samp(outcome) / sqrt(count(*)) as conf_low,
        avg(outcome) + 1.959964 * stddev_samp(outcome) / sqrt(count(*)) as conf_high
    from (
        select
            {{ time }} as period,
            {{ outcome }} as outcome,
            {% if cohort %}
            case
                when {{ first }} is null{% if not dated %} or {{ cqox.means_never(first, block) }}{% endif %} or {{ first }} > (select max({{ time }}) from {{ units }})
                    then 'never treated'
                else 'treated from ' || {{ "strftime(" ~ first ~ ", '%Y-%m-%d')" if dated else 'cast(cast(' ~ first ~ ' as bigint) as varchar)' }}
            end as series
            {% else %}
            'all units' as series
            {% endif %}
        from {{ units }}
    ) as paths
    where isfinite(outcome)
    group by series, period
{% endmacro %}

{# A day or moment as a year with decimals: 2001-07-02 is 2001.5 but for half a day. #}
{% macro year_of(day) %}
    {{ return(
        '(year(' ~ day ~ ') + (dayofyear(' ~ day ~ ') - 1.0) / dayofyear(make_date(cast(year(' ~ day ~ ') as bigint), 12, 31)))'
    ) }}
{% endmacro %}
