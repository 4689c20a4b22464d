{#
    Collinearity, from the rows `vif` of the study's design table: the VIF of the treatment given the covariates blocks; VIF
    among covariates harms nobody and is information.
#}
{% macro gate_collinearity(study, block, design) %}
    {% set treatment = cqox.text_literal(block['treatment']) %}
    {% set limit = cqox.gate_threshold('collinearity') %}
    {% set among = cqox.gate_threshold('covariate_collinearity') %}
    {% set sql %}
        select
            case when subject = {{ treatment }} then 'collinearity' else 'covariate_collinearity' end as gate,
            subject,
            {{ cqox.null_text() }} as estimand,
            {{ cqox.null_text() }} as estimator,
            value,
            cast(case when subject = {{ treatment }} then {{ limit }} else {{ among }} end as {{ cqox.type_double() }})
                as threshold,
            coalesce(value < case when subject = {{ treatment }} then {{ limit }} else {{ among }} end, false)
                as is_passing,
            reason,
            remedy
        from {{ design }}
        where metric = 'vif'
        union all
        select
            'collinearity' as gate,
            {{ cqox.as_text(treatment) }} as subject,
            {{ cqox.null_text() }} as estimand,
            {{ cqox.null_text() }} as estimator,
            {{ cqox.null_double() }} as value,
            cast({{ limit }} as {{ cqox.type_double() }}) as threshold,
            false as is_passing,
            {{ cqox.no_metric(study, 'vif') }} as reason,
            {{ cqox.null_text() }} as remedy
        from (
            select count(*) as n from {{ design }}
            where metric = 'vif' and subject = {{ treatment }}
        ) as found
        where n = 0
    {% endset %}
    {{ return(sql) }}
{% endmacro %}
