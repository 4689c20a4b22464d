-- The rule, read from top to bottom. Everything is turned so that more is better: for a study that wants less, the
-- effect and its interval change sign, and minimum_effect stays a positive size in the desired direction.
--   cannot_answer  the primary estimate is refused or failed, or has a standard error of zero, which decides nothing
--   ship           the whole interval is at or beyond minimum_effect
--   do_not_ship    the whole interval is short of it
--   extend         the interval holds it
-- Guardrails stand above that (decision_guardrails.sql): a breached one makes do_not_ship, and what would ship with one
-- that is unclear is extended. So is what rows lost by arm could turn (decision_losses.sql). `decision_of_effect` is
-- the answer of the primary estimate alone, and `decided_by` what decided: the effect, the guardrails or the losses.
-- Without an interval the placebo p-value decides whether there is an effect at all (var placebo_alpha).
-- What was found is told apart from what to do: `no_effect` is a finding, `too_imprecise` is none.

with

cards as (

    select
        cards.*,
        coalesce(agreement.n_estimated, 0) as n_estimated,
        coalesce(agreement.n_agreeing, 0) as n_agreeing,
        coalesce(gates.n_gates_failed, 0) as n_gates_failed,
        coalesce(
            cards.effective_sample_size < {{ var('gate_thresholds')['effective_sample_size'] }}, false
        ) as is_thin,
        coalesce(outcomes.n_guardrails, 0) as n_guardrails,
        coalesce(outcomes.n_guardrails_held, 0) as n_guardrails_held,
        coalesce(outcomes.n_guardrails_breached, 0) as n_guardrails_breached,
        coalesce(losses.is_turned, false) as is_turned_by_losses,
        coalesce(losses.is_differential, false) as is_loss_differential,
        losses.lee_low is not null as is_loss_bounded
    from {{ ref('decision_primary') }} as cards
    left join {{ ref('decision_agreement') }} as agreement on cards.study = agreement.study
    left join {{ ref('decision_gates') }} as gates on cards.study = gates.study
    left join {{ ref('decision_outcomes') }} as outcomes on cards.study = outcomes.study
    left join {{ ref('decision_losses') }} as losses
        on
            cards.study = losses.study
            and cards.outcome = losses.outcome

),

decided as (

    select
        *,
        case
            when status <> 'estimated' or estimate is null or std_error <= 0 then 'cannot_answer'
            when conf_low is not null and gain_low >= minimum_effect then 'ship'
            when conf_low is not null and gain_high < minimum_effect then 'do_not_ship'
            when conf_low is not null then 'extend'
            when p_value <= {{ var('placebo_alpha') }} and gain >= minimum_effect then 'ship'
            when p_value <= {{ var('placebo_alpha') }} then 'do_not_ship'
            else 'extend'
        end as decision_of_effect,
        case
            when status <> 'estimated' or estimate is null or std_error <= 0 then 'no_estimate'
            when conf_low is null and p_value <= {{ var('placebo_alpha') }} then 'stands_out'
            when conf_low is null then 'too_imprecise'
            when gain_low > 0 then 'gain'
            when gain_high < 0 then 'loss'
            when gain_high < minimum_effect and gain_low > -minimum_effect then 'no_effect'
            when gain_high < minimum_effect then 'no_gain'
            else 'too_imprecise'
        end as finding,
        coalesce(
            n_agreeing >= {{ var('agreement_share') }} * n_estimated
            and n_estimated >= 3
            and conf_low is not null,
            false
        ) as is_checked,
        case
            when n_gates_failed > 0 then 'a gate of the primary estimate failed'
            when is_thin then 'few effective units carry the estimate'
            when conf_low is not null and n_agreeing < 0.5 * n_estimated
                then 'most estimates of this effect lie outside the primary''s interval'
        end as why_low
    from cards

),

guarded as (

    select
        *,
        case
            when decision_of_effect = 'cannot_answer' then 'cannot_answer'
            when n_guardrails_breached > 0 then 'do_not_ship'
            when decision_of_effect = 'ship' and n_guardrails_held < n_guardrails then 'extend'
            when is_turned_by_losses then 'extend'
            else decision_of_effect
        end as decision,
        case
            when decision_of_effect = 'cannot_answer' then 'effect'
            when n_guardrails_breached > 0 and decision_of_effect <> 'do_not_ship' then 'guardrails'
            when n_guardrails_breached > 0 then 'effect'
            when decision_of_effect = 'ship' and n_guardrails_held < n_guardrails then 'guardrails'
            when is_turned_by_losses and decision_of_effect <> 'extend' then 'losses'
            else 'effect'
        end as decided_by
    from decided

),

rated as (

    select
        *,
        case
            when decision = 'cannot_answer' or why_low is not null then 'low'
            -- methods that agree on not knowing give no high confidence
            when decision = 'extend' then 'moderate'
            -- what decides then, one method alone has estimated
            when decision <> decision_of_effect then 'moderate'
            -- whom the estimate is about is no longer who was drawn, though the bounds leave the answer
            when is_loss_differential and is_loss_bounded then 'moderate'
            when is_loss_differential and not is_checked then 'low'
            when is_loss_differential then 'moderate'
            when is_checked then 'high'
            else 'moderate'
        end as confidence
    from guarded

),

final as (

    select
        study,
        decision,
        decision_of_effect,
        finding,
        confidence,
        decided_by,
        is_loss_differential,
        is_turned_by_losses,
        case
            when decision = 'cannot_answer' then 'there is no primary estimate'
            when why_low is not null then why_low
            when decided_by = 'losses' then 'rows lost by arm could turn the answer'
            when decision <> decision_of_effect then 'a guardrail decides, and one method alone estimated it'
            when confidence = 'high' then 'no gate failed, and three or more methods agree'
            when decision = 'extend' then 'the answer is open, however well the methods agree'
            when is_loss_differential and is_loss_bounded
                then 'one arm lost more rows than the other, though their bounds leave the answer'
            when is_loss_differential then 'one arm lost more rows than the other'
            when conf_low is null then 'no gate failed, but there is no interval'
            when n_estimated < 3 then 'no gate failed, but fewer than three methods can check each other'
            else 'no gate failed, but some methods lie outside the primary''s interval'
        end as confidence_reason
    from rated

)

select * from final
