{#
    Balance, from the rows `smd` of the study's design table: the standardised mean difference of every covariate column, raw
    (information) and under the weights of each weighting or matching estimator for its estimand (blocks that pair).
#}
{% macro gate_balance(study, design) %}
    {% set limit = cqox.gate_threshold('balance') %}
    {% set raw_limit = cqox.gate_threshold('raw_balance') %}
    {% set sql %}
        select
            case when estimator is null then 'raw_balance' else 'balance' end as gate,
            subject,
            estimand,
            estimator,
            value,
            cast(case when estimator is null then {{ raw_limit }} else {{ limit }} end as {{ cqox.type_double() }})
                as threshold,
            coalesce(abs(value) < case when estimator is null then {{ raw_limit }} else {{ limit }} end, false)
                as is_passing,
            reason,
            remedy
        from {{ design }}
        where metric = 'smd'
        union all
        -- what the table has no row of fails, for its estimator and estimand alone
        select
            wanted.gate,
            'covariates' as subject,
            wanted.estimand,
            wanted.estimator,
            {{ cqox.null_double() }} as value,
            cast(case when wanted.estimator is null then {{ raw_limit }} else {{ limit }} end as {{ cqox.type_double() }})
                as threshold,
            false as is_passing,
            {{ cqox.no_metric(study, 'smd') }} as reason,
            {{ cqox.null_text() }} as remedy
        from (
            select
                'raw_balance' as gate,
                {{ cqox.null_text() }} as estimand,
                {{ cqox.null_text() }} as estimator
            {%- for w in cqox.score_weights() %}
                union all
                select
                    'balance' as gate,
                    {{ cqox.as_text("'" ~ w.estimand ~ "'") }} as estimand,
                    {{ cqox.as_text("'" ~ w.estimator ~ "'") }} as estimator
            {%- endfor %}
        ) as wanted
        left join (
            select
                coalesce(estimand, '') as estimand,
                coalesce(estimator, '') as estimator,
                count(*) as n
            from {{ design }}
            where metric = 'smd'
            group by coalesce(estimand, ''), coalesce(estimator, '')
        ) as there
            on
                coalesce(wanted.estimand, '') = there.estimand
                and coalesce(wanted.estimator, '') = there.estimator
        where there.n is null
    {% endset %}
    {{ return(sql) }}
{% endmacro %}

{# The weights that the scores table carries. #}
{% macro score_weights() %}
    {% set out = [] %}
    {% for estimator, estimands in [
        ('ipw', ['ATE', 'ATT', 'ATO']), ('psm', ['ATE', 'ATT']), ('stratification', ['ATE', 'ATT'])
    ] %}
        {% for estimand in estimands %}
            {% do out.append({
                'column': 'weight_' ~ estimator ~ '_' ~ (estimand | lower), 'estimand': estimand, 'estimator': estimator
            }) %}
        {% endfor %}
    {% endfor %}
    {{ return(out) }}
{% endmacro %}
