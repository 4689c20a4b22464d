-- One row a study: what was asked, what to do, how sure we are and what would change it. The rule itself is
-- models/marts/cards/decision_rule.sql; the other parts stand beside it. This model puts them into words: never
-- "proved", and "no effect" is not "too imprecise to tell".

with

cards as (

    select
        cards.*,
        decisions.decision,
        decisions.decision_of_effect,
        decisions.finding,
        decisions.confidence,
        decisions.confidence_reason,
        coalesce(decisions.decided_by, 'effect') as decided_by,
        coalesce(decisions.is_loss_differential, false) as is_loss_differential,
        coalesce(decisions.is_turned_by_losses, false) as is_turned_by_losses,
        losses.share_lost_untreated,
        losses.share_lost_treated,
        losses.loss_p,
        losses.lee_low,
        losses.lee_high,
        losses.lee_conf_low,
        losses.lee_conf_high,
        losses.losses_reading,
        coalesce(agreement.n_estimated, 0) as n_estimated,
        coalesce(agreement.n_refused, 0) as n_refused,
        coalesce(agreement.n_agreeing, 0) as n_agreeing,
        agreement.consensus_estimate,
        agreement.range_low,
        agreement.range_high,
        agreement.heterogeneity_q,
        agreement.heterogeneity_df,
        agreement.heterogeneity_p,
        agreement.heterogeneity_driver,
        agreement.driver_estimate,
        agreement.heterogeneity_reading,
        coalesce(gates.n_gates, 0) as n_gates,
        coalesce(gates.n_gates_failed, 0) as n_gates_failed,
        gates.gates_failed,
        gates.gates,
        sensitivity.sensitivity_reading,
        sensitivity.flip_bias,
        sensitivity.flip_confounder_r2,
        sensitivity.flip_m_bar,
        sensitivity.flip_e_value,
        sensitivity.flip_reading,
        assumptions.assumptions_testable,
        assumptions.assumptions_untestable,
        groups.n_groups,
        groups.least_group,
        groups.least_effect,
        groups.most_group,
        groups.most_effect,
        groups.groups_p,
        groups.groups_reading,
        roles.unused_reading,
        roles.unused_by_primary_reading,
        coalesce(outcomes.n_guardrails, 0) as n_guardrails,
        coalesce(outcomes.n_guardrails_held, 0) as n_guardrails_held,
        coalesce(outcomes.n_guardrails_breached, 0) as n_guardrails_breached,
        coalesce(outcomes.n_guardrails_unclear, 0) as n_guardrails_unclear,
        outcomes.guardrails_breached,
        outcomes.guardrails_unclear,
        outcomes.guardrails_reading,
        outcomes.secondary_reading,
        outcomes.other_outcomes
    from {{ ref('decision_primary') }} as cards
    inner join {{ ref('decision_rule') }} as decisions on cards.study = decisions.study
    left join {{ ref('decision_agreement') }} as agreement on cards.study = agreement.study
    left join {{ ref('decision_gates') }} as gates on cards.study = gates.study
    left join {{ ref('decision_sensitivity') }} as sensitivity on cards.study = sensitivity.study
    left join {{ ref('decision_assumptions') }} as assumptions on cards.study = assumptions.study
    left join {{ ref('decision_groups') }} as groups on cards.study = groups.study
    left join {{ ref('decision_outcomes') }} as outcomes on cards.study = outcomes.study
    left join {{ ref('decision_losses') }} as losses
        on
            cards.study = losses.study
            and cards.outcome = losses.outcome
    left join {{ ref('decision_roles') }} as roles on cards.study = roles.study

),

-- where the primary is refused, its estimator may still stand for another estimand
standing as (

    select
        estimates.study,
        min(
            'The ' || estimates.estimand || ' by ' || lower(catalogue.title) || ' passes its gates: '
            || {{ format_significant('estimates.estimate') }} || ' '
            || {{ as_interval('estimates.conf_low', 'estimates.conf_high') }} || '.'
        ) as standing_reading
    from {{ ref('estimates') }} as estimates
    inner join {{ ref('estimator_catalogue') }} as catalogue on estimates.estimator = catalogue.estimator
    inner join cards
        on
            estimates.study = cards.study
            and estimates.estimator = cards.estimator
            and estimates.estimand <> cards.estimand
    where
        cards.status <> 'estimated'
        and estimates.outcome_role = 'primary'
        and estimates.status = 'estimated'
        and estimates.term = 'overall'
        and estimates.specification = 'default'
        and estimates.estimand = 'ATT'
    group by estimates.study

),

joined as (

    select
        cards.*,
        standing.standing_reading
    from cards
    left join standing on cards.study = standing.study

),

worded as (

    select
        *,
        {{ with_unit('minimum_effect', 'effect_unit') }} as wanted,
        {{ with_unit('minimum_effect', 'effect_unit') }} || case
            when minimum_effect = 0 then ''
            when desired_direction = 'less' then ' less'
            else ' more'
        end as wanted_more,
        {{ with_unit('estimate', 'effect_unit') }} as shown,
        {{ as_interval('conf_low', 'conf_high') }} as shown_interval,
        {{ format_number('p_value', 3) }} as shown_p,
        case when desired_direction = 'less' then 'below' else 'above' end as good_side,
        case when desired_direction = 'less' then 'above' else 'below' end as bad_side,
        value_per_unit * gain as value_shown,
        value_per_unit * gain_low as value_low,
        value_per_unit * gain_high as value_high,
        -- units for an interval as narrow as the distance to the minimum, where the estimate stays and n alone grows
        case
            when
                decision = 'extend'
                and decision_of_effect = 'extend'
                and conf_low is not null
                and design not in ('synthetic_control', 'its')
                and coalesce(effective_sample_size, 1e9) >= {{ var('gate_thresholds')['effective_sample_size'] }}
                then n_units * power((gain_high - gain_low) / (2 * nullif(gain - minimum_effect, 0)), 2)
        end as units_wanted
    from joined

),

-- two significant digits: it is no more exact than that
rounded as (

    select
        * exclude (units_wanted),
        power(10, floor(log10(units_wanted)) - 1) as step,
        cast(case when units_wanted <= 50 * n_units then ceil(units_wanted / step) * step end as bigint)
            as n_units_wanted
    from worded

),

final as (

    select
        study,
        question,
        design,
        population,
        decision,
        decision_of_effect,
        decided_by,
        {{ card_rule_fired() }} as rule_fired,
        'ship if the whole interval of the primary estimate is at or beyond ' || wanted_more
        || '; do not ship if it is all short of that; extend if it holds it; cannot answer if the primary is refused'
        || case
            when n_guardrails > 0
                then
                    '; and by the guardrails: ship only if each is held, do not ship if one is breached, extend what '
                    || 'would ship if one is unclear'
            else ''
        end
        || case
            when design = 'experiment'
                then '; and extend what rows lost by arm could turn, by Lee''s bounds'
            else ''
        end as declared_rule,
        finding,
        {{ card_finding_reading() }} as finding_reading,
        confidence,
        confidence_reason,
        estimator,
        specification,
        estimand,
        term,
        case
            when estimand = 'LATE' and design = 'rd' then 'for units at the cutoff only'
            when estimand = 'LATE' then 'for compliers: units whose treatment the instrument moves'
            when estimator = 'its' then 'for the periods after the intervention'
            when estimand = 'ATT' then 'for the treated units'
            when estimand = 'ATO' then 'for units that could be in either arm'
            when estimand = 'ATE' and estimator = 'transportability' then 'for the whole target population'
            when estimand = 'ATE' then 'for the whole population studied'
            when estimand = 'ACME' then 'for the part of the effect that goes through the mediator'
        end as scope,
        outcome,
        outcome_unit,
        effect_unit,
        treatment,
        status,
        status_reason,
        baseline,
        baseline_reading,
        estimate,
        std_error,
        conf_low,
        conf_high,
        relative_effect,
        relative_low,
        relative_high,
        p_value,
        p_adjusted,
        cast(n_confirmatory as bigint) as n_confirmatory,
        minimum_detectable_effect,
        n_units,
        n_treated,
        effective_sample_size,
        n_trimmed,
        share_trimmed,
        share_lost_untreated,
        share_lost_treated,
        loss_p,
        lee_low,
        lee_high,
        lee_conf_low,
        lee_conf_high,
        losses_reading,
        desired_direction,
        minimum_effect,
        value_per_unit,
        cost_per_unit,
        value_shown as effect_value,
        value_low as effect_value_low,
        value_high as effect_value_high,
        -- without a declared cost there is no net benefit
        value_shown - cost_per_unit as net_benefit,
        value_low - cost_per_unit as net_benefit_low,
        value_high - cost_per_unit as net_benefit_high,
        {{ card_value_reading() }} as value_reading,
        naive_estimate,
        n_estimated,
        n_refused,
        n_agreeing,
        consensus_estimate,
        range_low,
        range_high,
        heterogeneity_q,
        heterogeneity_df,
        heterogeneity_p,
        heterogeneity_reading,
        heterogeneity_driver,
        driver_estimate,
        n_gates,
        n_gates_failed,
        gates_failed,
        gates,
        assumptions_testable,
        assumptions_untestable,
        coalesce(sensitivity_reading, {{ card_sensitivity_fallback() }}) as sensitivity_reading,
        flip_bias,
        flip_confounder_r2,
        flip_m_bar,
        flip_e_value,
        {{ card_flip_with_guardrails() }} as flip_reading,
        n_groups,
        least_group,
        least_effect,
        most_group,
        most_effect,
        groups_p,
        coalesce(groups_reading, 'No group was declared in which the effect might differ') as groups_reading,
        n_guardrails,
        n_guardrails_held,
        n_guardrails_breached,
        n_guardrails_unclear,
        guardrails_reading,
        secondary_reading,
        other_outcomes,
        {{ card_caveats() }} as caveats,
        n_units_wanted,
        {{ card_next_step() }} as next_step,
        spec_hash,
        code_hash,
        data_hash,
        estimated_at,
        {{ as_text(text_literal(build_id())) }} as build_id
    from rounded

)

select * from final
