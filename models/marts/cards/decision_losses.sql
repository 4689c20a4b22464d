-- One row a study and outcome of which rows were lost, as the decision's run tells it: loss by arm with its test, and
-- Lee's bounds of an experiment. A verdict is where the bounds (or their interval) lie of the primary outcome's minimum
-- effect or of a guardrail's margin, turned so that more is better.
-- `is_turned` tells where the lost rows could turn what the primary estimate says: by the interval where the arms lost
-- different shares (p below the threshold), and by the bounds alone whatever the p-value.

with

cards as (

    select * from {{ ref('decision_primary') }}

),

outcomes as (

    select * from {{ ref('study_outcomes') }}

),

counted as (

    select
        cards.study,
        case when rows_.subject = 'overall' then cards.outcome else rows_.subject end as outcome,
        max(case when rows_.metric = 'share_lost' then rows_.value end) as share_lost,
        max(case when rows_.metric = 'share_lost_untreated' then rows_.value end) as share_lost_untreated,
        max(case when rows_.metric = 'share_lost_treated' then rows_.value end) as share_lost_treated,
        max(case when rows_.metric = 'loss_differs_p' then rows_.value end) as loss_p,
        coalesce(bool_or(rows_.metric = 'loss_differs_p' and not rows_.is_passing), false) as is_differential
    from cards
    inner join {{ ref('diagnostics') }} as rows_
        on
            cards.study = rows_.study
            and cards.estimator = rows_.estimator
            and cards.estimand = rows_.estimand
            -- a further outcome runs by the default options
            and case when rows_.subject = 'overall' then cards.specification else 'default' end = rows_.specification
    where rows_.metric in ('share_lost', 'share_lost_untreated', 'share_lost_treated', 'loss_differs_p')
    group by cards.study, case when rows_.subject = 'overall' then cards.outcome else rows_.subject end

),

named as (

    select
        cards.study,
        cards.outcome as own_outcome,
        rows_.subject,
        rows_.value,
        rows_.reading
    from cards
    inner join {{ ref('sensitivity') }} as rows_
        on
            cards.study = rows_.study
            and cards.estimator = rows_.estimator
            and cards.estimand = rows_.estimand
            and case when strpos(rows_.subject, ': ') = 0 then cards.specification else 'default' end
            = rows_.specification
    where rows_.method = 'lee_bounds'

),

placed as (

    select
        study,
        case
            when strpos(subject, ': ') = 0 then own_outcome
            else regexp_replace(subject, ': [a-z_]+$', '')
        end as outcome,
        case when strpos(subject, ': ') = 0 then subject else regexp_extract(subject, ': ([a-z_]+)$', 1) end as part,
        value,
        reading
    from named

),

bounds as (

    select
        study,
        outcome,
        max(case when part = 'low' then value end) as lee_low,
        max(case when part = 'high' then value end) as lee_high,
        max(case when part = 'conf_low' then value end) as lee_conf_low,
        max(case when part = 'conf_high' then value end) as lee_conf_high,
        max(case when part = 'bounds' then reading end) as unbounded_reason
    from placed
    group by study, outcome

),

joined as (

    select
        counted.*,
        bounds.lee_low,
        bounds.lee_high,
        bounds.lee_conf_low,
        bounds.lee_conf_high,
        bounds.unbounded_reason,
        outcomes.outcome_role,
        case
            when outcomes.outcome_role = 'guardrail' then -outcomes.margin
            when counted.outcome = cards.outcome then cards.minimum_effect
        end as least,
        case
            when outcomes.outcome_role = 'guardrail'
                then case outcomes.desired_direction when 'less' then -1 when 'more' then 1 end
            else cards.direction
        end as direction,
        case when counted.outcome = cards.outcome then cards.gain_low end as gain_low,
        case when counted.outcome = cards.outcome then cards.gain_high end as gain_high,
        cards.estimand
    from counted
    inner join cards on counted.study = cards.study
    left join bounds
        on
            counted.study = bounds.study
            and counted.outcome = bounds.outcome
    left join outcomes
        on
            counted.study = outcomes.study
            and counted.outcome = outcomes.outcome

),

turned as (

    select
        *,
        least(direction * lee_low, direction * lee_high) as bound_low,
        greatest(direction * lee_low, direction * lee_high) as bound_high,
        least(direction * lee_conf_low, direction * lee_conf_high) as bound_conf_low,
        greatest(direction * lee_conf_low, direction * lee_conf_high) as bound_conf_high
    from joined

),

judged as (

    select
        *,
        case
            when lee_conf_low is null or least is null then null
            when bound_conf_low >= least then 'beyond'
            when bound_conf_high < least then 'short'
            else 'across'
        end as interval_verdict,
        case
            when lee_low is null or least is null then null
            when bound_low >= least then 'beyond'
            when bound_high < least then 'short'
            else 'across'
        end as bounds_verdict,
        case when gain_low >= least then 'beyond' when gain_high < least then 'short' else 'across' end as own_verdict
    from turned

),

final as (

    select
        study,
        outcome,
        share_lost,
        share_lost_untreated,
        share_lost_treated,
        loss_p,
        is_differential,
        lee_low,
        lee_high,
        lee_conf_low,
        lee_conf_high,
        interval_verdict,
        bounds_verdict,
        coalesce(
            own_verdict <> 'across'
            and (bounds_verdict <> own_verdict or (is_differential and interval_verdict <> own_verdict)),
            false
        ) as is_turned,
        {{ card_losses_reading() }} as losses_reading
    from judged

)

select * from final
