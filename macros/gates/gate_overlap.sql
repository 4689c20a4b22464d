{#
    Overlap: the share of the target population whose propensity leaves both arms possible. The ATE asks it of both arms, the
    ATT of the untreated alone, the ATO of nobody: its weights vanish where an arm is impossible.
#}
{% macro gate_overlap(block, scores) %}
    {% set limit = cqox.gate_threshold('overlap') %}
    {% set low, high = var('propensity_bounds')[0], var('propensity_bounds')[1] %}
    {% set reason, mend = cqox.words_without(cqox.scores_told(scores)) %}
    {#
        The share that lots gave the treatment; where it is not declared, the share of the treated stands for it. Where
        treatment was chosen the bounds are those of even odds: estimators/overlap.py says why.
    #}
    {% set allocation = 0.5 if block.get('design') != 'experiment'
        else block['allocation'] if block.get('allocation') is number else none %}
    {% set sql %}
        select
            'overlap' as gate,
            'propensity' as subject,
            estimand,
            {{ cqox.null_text() }} as estimator,
            value,
            cast({{ limit }} as {{ cqox.type_double() }}) as threshold,
            coalesce(value > {{ limit }}, false) as is_passing,
            coalesce(
                {{ cqox.format_number('100 * value', 1) }} || ' % of '
                || case
                    when estimand = 'ATT'
                        then 'the treated have a propensity below '
                    else 'the units have a propensity between ' || {{ cqox.bound_shown('low', low) }} || ' and '
                end
                || {{ cqox.bound_shown('high', high) }},
                {{ reason }}
            ) as reason,
            case when value is null then {{ mend }} end as remedy
        from ({{ cqox.overlap_share(scores, 'treatment', 'propensity', low, high, allocation) }}) as shares
    {% endset %}
    {{ return(sql) }}
{% endmacro %}

{# SQL of a bound in words: as it is declared where the study does not move it. #}
{% macro bound_shown(column, declared) %}
    {{ return(
        'case when abs(' ~ column ~ ' - ' ~ declared ~ ") < 1e-12 then '" ~ declared ~ "' else "
        ~ cqox.format_number(column, 3) ~ ' end'
    ) }}
{% endmacro %}
