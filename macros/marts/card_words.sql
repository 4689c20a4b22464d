{# The sentences of marts.decision_cards as SQL over its columns: one macro a sentence. #}

{% macro card_rule_fired() -%}
    case
        when decision = 'cannot_answer' and status = 'not_identified' then 'the primary estimate is not identified'
        when decision = 'cannot_answer' and status = 'failed' then 'the primary estimate failed'
        when decision = 'cannot_answer' then 'the primary estimate is refused'
        when decided_by = 'losses'
            then 'the primary estimate alone would ' || case when decision_of_effect = 'ship' then 'ship' else 'not ship' end
                || ', but rows lost by arm could turn that: the 95 % interval of Lee''s bounds, '
                || {{ cqox.as_interval('lee_conf_low', 'lee_conf_high') }} || ', is not all on that side of ' || wanted
        when decision <> decision_of_effect and decision = 'do_not_ship'
            then 'a guardrail is breached (' || guardrails_breached || '), whatever the primary estimate says'
        when decision <> decision_of_effect
            then 'the primary estimate alone would ship, but a guardrail is unclear (' || guardrails_unclear || ')'
        when conf_low is null and p_value is null then 'there is no bounded interval, so the data cannot tell'
        when conf_low is null and decision = 'extend'
            then 'without an interval the placebo p-value decides, and ' || shown_p || ' is above {{ var('placebo_alpha') }}'
        when conf_low is null
            then 'without an interval the placebo p-value decides: ' || shown_p || ' is at or below '
                || '{{ var('placebo_alpha') }}, and the effect is ' || shown
        when decision = 'ship' then 'the whole interval ' || shown_interval || ' is at or beyond ' || wanted
        when decision = 'do_not_ship' then 'the whole interval ' || shown_interval || ' is short of ' || wanted
        else 'the interval ' || shown_interval || ' holds the minimum effect of ' || wanted
    end
{%- endmacro %}

{# What was found, apart from what to do about it. #}
{% macro card_finding_reading() -%}
    case finding
        when 'no_estimate' then 'There is no estimate that can be trusted'
        when 'stands_out'
            then 'The effect stands out from the placebos (p = ' || shown_p || '); how large it is has no interval'
        when 'gain' then 'The whole interval is ' || good_side || ' zero' || case
            when minimum_effect = 0 or decision_of_effect = 'ship' then ''
            when decision_of_effect = 'extend' then '; whether the effect reaches ' || wanted || ' is too imprecise to tell'
            else '; the effect is smaller than ' || wanted
        end
        when 'loss' then 'The whole interval is ' || bad_side || ' zero: the effect goes the wrong way'
        when 'no_effect'
            then 'No effect that matters: the interval holds zero, and nothing in it is as large as ' || wanted
                || ' either way'
        when 'no_gain'
            then 'No gain that matters: nothing in the interval reaches ' || wanted || ', and a loss is not ruled out'
        when 'too_imprecise' then case
            when conf_low is null and p_value is null then 'Too imprecise to tell: there is no bounded interval'
            when conf_low is null
                then 'Too imprecise to tell: an effect as large turns up among the placebos too often (p = ' || shown_p
                    || ')'
            when minimum_effect = 0 then 'Too imprecise to tell: the interval holds gains and losses alike'
            else 'Too imprecise to tell: the interval holds no effect as well as effects of at least ' || wanted
        end
    end
{%- endmacro %}

{% macro card_value_reading() -%}
    case
        when value_shown is null then null
        else
            'Worth ' || {{ cqox.format_significant('value_shown') }}
            || coalesce(' ' || nullif({{ cqox.as_interval('value_low', 'value_high') }}, ''), '') || ' a treated unit'
            || case
                when cost_per_unit is null then '; no cost was declared, so there is no net benefit'
                else
                    '; less the cost of ' || {{ cqox.format_significant('cost_per_unit') }} || ' that leaves '
                    || {{ cqox.format_significant('value_shown - cost_per_unit') }}
                    || coalesce(
                        ' ' || nullif({{ cqox.as_interval('value_low - cost_per_unit', 'value_high - cost_per_unit') }}, ''),
                        ''
                    )
                    || case
                        when value_low > cost_per_unit then ': it pays over the whole interval'
                        when value_high < cost_per_unit then ': it does not pay anywhere in the interval'
                        when value_low is not null then ': whether it pays is too imprecise to tell'
                        else ''
                    end
            end
    end
{%- endmacro %}

{# Where no row of marts.sensitivity applies. #}
{% macro card_sensitivity_fallback() -%}
    case
        when status <> 'estimated' then 'There is no estimate whose sensitivity could be told'
        when design = 'rd'
            then 'At the cutoff hidden confounding is no threat as long as units cannot choose their side: see the density'
        when design = 'synthetic_control'
            then 'For one treated unit the placebos take the place of a confounder analysis'
        when design = 'its' then 'What else changed at that date is not measured here: no number bounds it'
        when estimator = 'policy_value' then 'The log drew its actions with known probabilities, so confounding is no threat'
        else 'No sensitivity analysis applies to this estimator'
    end
{%- endmacro %}

{# What overrules the primary estimate is not moved by a bias of that estimate. #}
{% macro card_flip_with_guardrails() -%}
    case
        when decided_by = 'losses'
            then 'The lost rows decide: their bounds reach over the minimum without any bias of the primary estimate'
        when decision <> decision_of_effect
            then 'A guardrail decides; a bias of the primary estimate alone does not turn this into ship'
        else flip_reading
    end
{%- endmacro %}

{# Of decision_guardrails: one outcome in a sentence. "No effect" needs a size that matters, which none declares here. #}
{% macro card_other_outcome_reading() -%}
    '''' || outcome || '''' || case
        when status <> 'estimated'
            then ': it cannot be told, for there is no estimate: ' || coalesce(status_reason, 'no reason is given')
        when verdict = 'held' then ': held. The effect is ' || shown || ', and ' || harm || ' is ruled out'
        when verdict = 'breached' then ': breached. The effect is ' || shown || ': the whole interval is ' || harm
        when outcome_role = 'guardrail' and conf_low is null
            then ': too imprecise to tell. The effect is ' || shown || ', without a bounded interval'
        when outcome_role = 'guardrail'
            then ': too imprecise to tell. The effect is ' || shown || ', and '
                || coalesce(harm || ' is not ruled out', 'no margin is declared')
        when p_adjusted is null then ': the effect is ' || shown || ', without a p-value'
        when p_adjusted < 0.05
            then ': the effect is ' || shown || ', clear of zero (p after Holm ' || {{ cqox.p_shown('p_adjusted') }} || ')'
        when p_value < 0.05
            then ': the effect is ' || shown || ', clear of zero by itself but not beside the other outcomes (p after Holm '
                || {{ cqox.p_shown('p_adjusted') }} || ')'
        else ': too imprecise to tell which way it goes. The effect is ' || shown || ' (p after Holm '
            || {{ cqox.p_shown('p_adjusted') }} || ')'
    end
{%- endmacro %}

{% macro p_shown(p) -%}
    case when {{ p }} < 0.001 then '< 0.001' else {{ cqox.format_number(p, 3) }} end
{%- endmacro %}

{# One sentence a line. #}
{% macro card_caveats() -%}
    nullif(
        concat_ws(
            chr(10),
            {{ cqox.card_losses_caveat() }},
            case when is_a_a_test then 'Nobody was treated in this study: it tests the pipeline' end,
            case when gates_failed is not null and status = 'estimated'
                then 'Failed without forbidding the estimate: ' || replace(gates_failed, '_', ' ') end,
            case when status = 'estimated' and design <> 'experiment'
                then 'Treatment was not drawn by lot: the answer stands on assumptions that no data can check' end,
            case when status = 'estimated' and design <> 'experiment' and covariates_undated is not null
                then 'It was not declared that ' || covariates_undated || ' were measured before treatment' end,
            case when estimand = 'LATE' and design <> 'rd' and status = 'estimated'
                then 'Units that the instrument does not move may respond otherwise' end,
            case when estimand = 'LATE' and design = 'rd' and status = 'estimated'
                then 'Units far from the cutoff may respond otherwise' end,
            case when n_estimated = 1 then 'One method alone can estimate this effect, so no other checks it' end,
            case when conf_low is not null and n_estimated > 1 and n_agreeing < 0.5 * n_estimated
                then 'Most estimates of this effect lie outside the primary''s interval' end,
            case when heterogeneity_p < 0.05
                then heterogeneity_reading || coalesce('; furthest off: ' || heterogeneity_driver, '') end,
            case when share_trimmed >= 0.05
                then {{ cqox.as_percent('share_trimmed') }} || ' of the units were left out: the answer is about the others'
            end,
            case when effective_sample_size < 0.5 * n_units
                then 'After weighting, ' || {{ cqox.format_significant('n_units') }} || ' units are worth '
                    || {{ cqox.format_significant('round(effective_sample_size)') }} end,
            unused_reading,
            unused_by_primary_reading,
            case when n_treated = 1 then 'One unit was treated: the answer is about it alone' end,
            case
                when
                    decision in ('ship', 'do_not_ship') and decision = decision_of_effect
                    and flip_bias < 0.25 * std_error
                then 'The interval only just clears the minimum: a bias of ' || {{ cqox.with_unit('flip_bias', 'effect_unit') }}
                    || ' would leave the answer open' end,
            case when minimum_effect = 0
                then 'The declared minimum is zero: any effect in the wanted direction counts, however small' end
        ),
        ''
    )
{%- endmacro %}

{% macro card_next_step() -%}
    case
        when status = 'failed' then 'Mend what the reason names and build again.'
        when decision = 'cannot_answer'
            then coalesce(standing_reading || ' ', '') || 'Change the design or the population before asking again.'
        when is_a_a_test and decision <> 'ship' then 'Nothing: an A/A study that does not ship is as it should be.'
        when decided_by = 'losses'
            then 'Find the outcomes of those who were lost, first in the arm that lost more: the bounds turn on them.'
        when decision <> decision_of_effect and decision = 'do_not_ship'
            then 'Do not act: a guardrail is breached (' || guardrails_breached || '). Look for a variant that keeps it.'
        when decision <> decision_of_effect
            then 'Collect more data on the guardrail that is unclear (' || guardrails_unclear
                || '): the primary estimate alone would ship.'
        when decision = 'ship' then 'Act on it, and measure again after the roll-out.'
        when decision = 'do_not_ship' and finding = 'loss' then 'Do not act: the effect goes the wrong way.'
        when decision = 'do_not_ship' then 'Leave it, or look for another lever.'
        when n_units_wanted is not null
            then 'Collect more data: if the estimate holds, about ' || format('{:,}', n_units_wanted)
                || ' units in place of ' || format('{:,}', n_units) || ' would settle it.'
        when effective_sample_size < {{ var('gate_thresholds')['effective_sample_size'] }}
            then 'Narrow the question to people whom the data hold: a few units carry nearly all the weight.'
        when conf_low is not null and design not in ('synthetic_control', 'its')
            then 'The estimate is so near the minimum that more data alone would hardly settle it: '
                || 'declare a design with more power.'
        when design = 'synthetic_control' then 'Look for more donors or more treated units: one placebo test cannot go further.'
        else 'Collect more data, or declare a design with more power.'
    end
{%- endmacro %}

{# Of decision_agreement: whether the methods disagree by more than chance. #}
{% macro card_heterogeneity_reading() -%}
    case
        when heterogeneity_p is null then null
        when heterogeneity_p < 0.05
            then 'The methods disagree by more than chance (Cochran''s Q ' || {{ cqox.format_number('heterogeneity_q', 1) }}
                || ' on ' || cast(heterogeneity_df as {{ cqox.type_text() }}) || ' degrees of freedom, p '
                || case
                    when heterogeneity_p < 0.001 then '< 0.001'
                    else '= ' || {{ cqox.format_number('heterogeneity_p', 3) }}
                end
                || ')'
        else 'Cochran''s Q sees no disagreement beyond chance (p = ' || {{ cqox.format_number('heterogeneity_p', 2) }}
            || '), but it takes estimates from the same data as independent, so it cannot rule one out'
    end
{%- endmacro %}

{# Of decision_groups: whether the effect differs between groups. #}
{% macro card_groups_reading() -%}
    case
        when contrasts.groups_p < 0.05 then 'The effect differs between groups: from '
        else 'No difference between groups is clear of chance; the estimates run from '
    end
    || {{ cqox.format_significant('extremes.least_effect') }} || ' (' || replace(extremes.least_group, '=', ' = ') || ') to '
    || {{ cqox.format_significant('extremes.most_effect') }} || ' (' || replace(extremes.most_group, '=', ' = ') || ')'
    || case
        when contrasts.groups_p < 0.001 then '; smallest p after Holm < 0.001'
        when contrasts.groups_p is not null then '; smallest p after Holm ' || {{ cqox.format_number('contrasts.groups_p', 3) }}
        else ''
    end
{%- endmacro %}

{# Of decision_sensitivity: the strongest measured covariate beside the confounder that it would take. #}
{% macro card_benchmark_reading() -%}
    case
        when share_of_treatment is not null
            then '; ' || strongest || ', the strongest measured, explains '
                || case when greatest(share_of_treatment, share_of_outcome) < robustness then 'only ' else '' end
                || {{ cqox.as_percent('share_of_treatment') }} || ' and ' || {{ cqox.as_percent('share_of_outcome') }}
        when left_of_size <= 0 then '; one as strong as ' || strongest || ' would be enough'
        when is_of_instrument
            then '; one as strong as ' || strongest || ' would leave the instrument''s effect on the outcome at '
                || {{ cqox.with_unit('left_over', 'outcome_unit') }}
        when left_of_size is not null
            then '; one as strong as ' || strongest || ' would leave the least-squares estimate at '
                || {{ cqox.with_unit('left_over', 'outcome_unit') }}
        else ''
    end
{%- endmacro %}

{# Of decision_sensitivity: how strong a hidden cause would have to be, by the measure that fits the design. #}
{% macro card_sensitivity_reading() -%}
    case
        when rho is not null
            then 'The effect through the mediator is zero where a hidden cause of mediator and outcome correlates their'
                || ' errors by ' || {{ cqox.format_number('rho', 2) }}
        when m_bar = 0 then 'The interval holds zero even if trends keep parallel after treatment'
        when m_bar is not null
            then 'The sign of the effect stands unless trends part after treatment by more than '
                || {{ cqox.format_number('m_bar', 2) }} || ' times the most that they parted before it'
                || case when m_bar < 1 then ': less than what was already seen would be enough' else '' end
        when robustness_of_interval = 0 and robustness is not null
            then preface || 'The 95 % interval holds zero already, so no confounder is needed to reconcile it with no effect'
        when robustness is not null
            then preface || 'A confounder would have to explain ' || {{ cqox.as_percent('robustness') }}
                || ' of what the covariates leave open of both the '
                || case when is_of_instrument then 'instrument' else 'treatment' end
                || ' and the outcome to bring the estimate to zero' || beside
        when e_value_of_interval = 1
            then preface || 'The 95 % interval holds zero already, so no confounder is needed to reconcile it with no effect'
        when e_value is not null
            then preface || 'A confounder would have to go with both treatment and outcome by a risk ratio of '
                || {{ cqox.format_number('e_value', 2) }} || ' to explain the estimate away'
    end
{%- endmacro %}

{# Of decision_sensitivity: the smallest bias that changes the decision. #}
{% macro card_flip_reading() -%}
    case
        when flip_bias is null then null
        when gain_low < minimum_effect and gain_high >= minimum_effect
            then 'The interval holds the minimum effect already: no bias is needed to leave the answer open'
        else 'A bias of ' || {{ cqox.with_unit('flip_bias', 'effect_unit') }} || ' would change the decision'
            || coalesce(
                '; a confounder that explains ' || {{ cqox.as_percent('tipping_r2') }}
                || ' of what is left open of both treatment and outcome would bring it',
                ''
            )
    end
{%- endmacro %}
