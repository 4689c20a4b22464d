-- One row a study and further outcome: what the primary estimator says of each secondary outcome and guardrail.
-- A guardrail is a non-inferiority test. Everything is turned so that more is better; the margin is how much worse is
-- still tolerated.
--   held      the harmful end of the interval is inside the margin
--   breached  the whole interval is beyond the margin
--   unclear   neither; also without an estimate, an interval or a margin, and where rows lost by arm could turn it
-- All guardrails must hold, so none of them is adjusted for the others. Secondary outcomes are: Holm's p over them.

with

outcomes as (

    select * from {{ ref('study_outcomes') }}
    where outcome_role in ('secondary', 'guardrail')

),

estimates as (

    select * from {{ ref('estimates') }}
    where outcome_role in ('secondary', 'guardrail')

),

joined as (

    select
        outcomes.study,
        outcomes.outcome,
        outcomes.outcome_role,
        outcomes.desired_direction,
        outcomes.margin,
        estimates.estimator,
        estimates.estimand,
        estimates.estimate,
        estimates.conf_low,
        estimates.conf_high,
        estimates.p_value,
        estimates.n_units,
        coalesce(estimates.status, 'failed') as status,
        case
            when estimates.study is null then 'there is no row of this outcome in this build'
            else estimates.status_reason
        end as status_reason,
        case outcomes.desired_direction when 'more' then 1 when 'less' then -1 end as direction,
        losses.losses_reading,
        coalesce(losses.is_differential, false) as is_loss_differential,
        -- by the interval where the arms lost different shares, and by the bounds alone whatever the p-value
        case when losses.is_differential then losses.interval_verdict else losses.bounds_verdict end as lost_verdict
    from outcomes
    left join estimates
        on
            outcomes.study = estimates.study
            and outcomes.outcome = estimates.outcome
    left join {{ ref('decision_losses') }} as losses
        on
            outcomes.study = losses.study
            and outcomes.outcome = losses.outcome

),

turned as (

    select
        *,
        least(direction * conf_low, direction * conf_high) as gain_low,
        greatest(direction * conf_low, direction * conf_high) as gain_high
    from joined

),

-- Holm: the smallest p times the size of the family, the next times one less, and never below the one before
family as (

    select
        study,
        outcome,
        p_value,
        count(*) over (partition by study) as n_outcomes,
        row_number() over (partition by study order by p_value, outcome) as place
    from turned
    where
        outcome_role = 'secondary'
        and p_value is not null

),

holm as (

    select
        study,
        outcome,
        least(1.0, max(p_value * (n_outcomes - place + 1)) over (partition by study order by place)) as p_adjusted
    from family

),

judged as (

    select
        turned.*,
        holm.p_adjusted,
        case
            when turned.outcome_role = 'secondary' then null
            when turned.status <> 'estimated' or not coalesce(turned.margin > 0, false) then 'unclear'
            when turned.conf_low is null or turned.conf_high is null or turned.direction is null then 'unclear'
            when turned.gain_low >= -turned.margin and coalesce(turned.lost_verdict, 'beyond') <> 'beyond'
                then 'unclear'
            when turned.gain_high < -turned.margin and coalesce(turned.lost_verdict, 'short') <> 'short' then 'unclear'
            when turned.gain_low >= -turned.margin then 'held'
            when turned.gain_high < -turned.margin then 'breached'
            else 'unclear'
        end as verdict,
        {{ format_significant('turned.estimate') }} || coalesce(
            ' ' || nullif({{ as_interval('turned.conf_low', 'turned.conf_high') }}, ''), ''
        ) as shown,
        'a ' || case when turned.desired_direction = 'less' then 'rise' else 'drop' end || ' of more than '
        || {{ format_significant('turned.margin') }} as harm
    from turned
    left join holm
        on
            turned.study = holm.study
            and turned.outcome = holm.outcome

),

final as (

    select
        study,
        outcome,
        outcome_role,
        estimator,
        estimand,
        status,
        status_reason,
        estimate,
        conf_low,
        conf_high,
        n_units,
        desired_direction,
        margin,
        p_value,
        p_adjusted,
        verdict,
        {{ card_other_outcome_reading() }} || case
            when is_loss_differential or (verdict = 'unclear' and lost_verdict <> 'beyond')
                then coalesce('. ' || losses_reading, '')
            else ''
        end as reading
    from judged

)

select * from final
