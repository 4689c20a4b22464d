{#
    Gates on what a design needs, from the study's design table (computed in Python without outcomes after treatment):
    omnibus balance, sample ratio, undated covariates by arm, first stage, density, covariate continuity, pre-trends, pre-period fit.
    A metric that the design asks for and that is not there fails.
#}
{% macro gate_design(block, design) %}
    {% set limit = [] %}
    {% for check in cqox.design_checks(block) %}
        {% do limit.append(cqox.gate_from_metric(block, design, check)) %}
    {% endfor %}
    {{ return(limit | join('\nunion all\n')) }}
{% endmacro %}

{# gate, metric in the design table, which side of the threshold passes, and the subject shown where there is no row. #}
{% macro design_checks(block) %}
    {% set checks = {
        'experiment': [('omnibus_balance', 'omnibus_balance_p', 'least', 'overall'),
                       ('sample_ratio', 'sample_ratio_p', 'least', 'overall'),
                       ('covariate_assignment', 'covariate_assignment_p', 'least', 'covariates')],
        'iv': [('first_stage', 'first_stage_f', 'least', block.get('treatment'))],
        'rd': [('density', 'density_p', 'least', block.get('running'))],
        'panel': [('pre_trends', 'pre_trends_p', 'least', 'overall')],
        'synthetic_control': [('pre_fit', 'pre_rmspe_ratio', 'most', 'overall'),
                              ('pre_fit_level', 'pre_rmspe_level', 'most', 'overall')],
    }.get(block.get('design'), []) %}
    {# An experiment without a treatment (several arms) has neither test. #}
    {% if block.get('design') == 'experiment' and not block.get('treatment') %}{% set checks = [] %}{% endif %}
    {% if block.get('design') == 'rd' and block.get('covariates') %}
        {% do checks.append(('covariate_continuity', 'covariate_continuity_p', 'least', 'covariates')) %}
    {% endif %}
    {{ return(checks) }}
{% endmacro %}

{% macro gate_from_metric(block, design, check) %}
    {% set gate, metric, side, subject = check %}
    {% set limit = cqox.gate_threshold(gate) %}
    {% set sql %}
        select
            '{{ gate }}' as gate,
            coalesce(measured.subject, {{ cqox.text_literal(subject) }}) as subject,
            {{ cqox.null_text() }} as estimand,
            measured.estimator,
            measured.value,
            cast({{ limit }} as {{ cqox.type_double() }}) as threshold,
            -- "not applicable" passes and says so; anything else without a value fails
            coalesce(
                measured.value {{ '>=' if side == 'least' else '<=' }} {{ limit }},
                measured.reason like 'not applicable%',
                false
            ) as is_passing,
            coalesce(
                measured.reason, crashed.reason, 'the design table has no {{ metric }}: the study could not be read'
            ) as reason,
            coalesce(measured.remedy, case when measured.reason is null then crashed.remedy end) as remedy
        from (select 1 as one) as always
        left join (select * from {{ design }} where metric = '{{ metric }}') as measured on 1 = 1
        left join (select * from {{ design }} where metric = 'design') as crashed on 1 = 1
    {% endset %}
    {{ return(sql) }}
{% endmacro %}
