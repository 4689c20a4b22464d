-- The rule, read from top to bottom. Everything is turned so that more is better: for a study that wants less, the
-- effect and its interval change sign, and minimum_effect stays a positive size in the desired direction.
--   cannot_answer  the primary estimate is refused or failed
--   ship           the whole interval is at or beyond minimum_effect
--   do_not_ship    the whole interval is short of it
--   extend         the interval holds it
-- Without an interval the placebo p-value decides whether there is an effect at all (var placebo_alpha).

with

studies as (

    select * from {{ ref('studies') }}

),

estimates as (

    select * from {{ ref('estimates') }}

),

primary_rows as (

    select * from estimates
    where is_primary

),

naives as (

    select estimator from {{ ref('estimator_catalogue') }}
    where is_naive

),

naive as (

    select
        study,
        max(estimate) as naive_estimate
    from estimates
    where
        estimator in (select naives.estimator from naives)
        and specification = 'default'
    group by study

),

-- agreement is taken within one estimand only: a local effect is never averaged with another
peers as (

    select
        estimates.study,
        estimates.status,
        estimates.estimate,
        primary_rows.conf_low,
        primary_rows.conf_high
    from estimates
    inner join primary_rows
        on
            estimates.study = primary_rows.study
            and estimates.estimand = primary_rows.estimand
    where
        estimates.term in ('overall', primary_rows.term)
        and estimates.specification = 'default'
        and estimates.estimator not in (select naives.estimator from naives)

),

agreement as (

    select
        study,
        cast(sum(case when status = 'estimated' then 1 else 0 end) as bigint) as n_estimated,
        cast(sum(case when status = 'estimated' then 0 else 1 end) as bigint) as n_refused,
        cast(sum(case when estimate between conf_low and conf_high then 1 else 0 end) as bigint) as n_agreeing,
        percentile_cont(0.5) within group (order by estimate) as consensus_estimate,
        min(estimate) as range_low,
        max(estimate) as range_high
    from peers
    group by study

),

primary_gates as (

    select gates.*
    from {{ ref('gates') }} as gates
    left join primary_rows on gates.study = primary_rows.study
    where
        (gates.estimator is null or gates.estimator = primary_rows.estimator)
        and (gates.estimand is null or gates.estimand = primary_rows.estimand)
        and gates.severity <> 'info'

),

gate_summary as (

    select
        study,
        count(*) as n_gates,
        cast(sum(case when is_passing then 0 else 1 end) as bigint) as n_gates_failed,
        string_agg(
            distinct case when not is_passing then gate end, ', '
            order by case when not is_passing then gate end
        ) as gates_failed
    from primary_gates
    group by study

),

sensitivity as (

    select
        rows_.study,
        coalesce(
            max(case when rows_.method = 'robustness_value' and rows_.subject = 'q=1' then rows_.reading end),
            max(case when rows_.method = 'e_value' and rows_.subject = 'point' then rows_.reading end)
        ) as sensitivity_reading
    from {{ ref('sensitivity') }} as rows_
    inner join primary_rows
        on
            rows_.study = primary_rows.study
            and rows_.estimator = primary_rows.estimator
            and rows_.estimand = primary_rows.estimand
            and rows_.specification = primary_rows.specification
    group by rows_.study

),

-- where the primary is refused, its estimator may still stand for another estimand
standing as (

    select
        estimates.study,
        min(
            'The ' || estimates.estimand || ' by ' || lower(catalogue.title) || ' passes its gates: '
            || {{ format_significant('estimates.estimate') }} || ' ['
            || {{ format_significant('estimates.conf_low') }} || ', '
            || {{ format_significant('estimates.conf_high') }} || '].'
        ) as standing_reading
    from estimates
    inner join {{ ref('estimator_catalogue') }} as catalogue on estimates.estimator = catalogue.estimator
    inner join primary_rows
        on
            estimates.study = primary_rows.study
            and estimates.estimator = primary_rows.estimator
            and estimates.estimand <> primary_rows.estimand
    where
        primary_rows.status <> 'estimated'
        and estimates.status = 'estimated'
        and estimates.term = 'overall'
        and estimates.specification = 'default'
        and estimates.estimand = 'ATT'
    group by estimates.study

),

joined as (

    select
        studies.study,
        studies.question,
        studies.design,
        studies.population,
        studies.outcome,
        studies.outcome_unit,
        studies.outcome_unit || case
            when primary_rows.contrast = 'per unit'
                then ' per ' || coalesce(studies.treatment_unit, 'unit of treatment')
            else ''
        end as effect_unit,
        studies.treatment,
        studies.desired_direction,
        studies.minimum_effect,
        studies.value_per_unit,
        studies.cost_per_unit,
        primary_rows.estimator,
        primary_rows.specification,
        primary_rows.estimand,
        primary_rows.term,
        coalesce(primary_rows.status, 'failed') as status,
        case
            when primary_rows.study is null
                then 'the primary estimator does not suit the study''s treatment: choose another primary'
            else primary_rows.status_reason
        end as status_reason,
        primary_rows.estimate,
        primary_rows.std_error,
        primary_rows.conf_low,
        primary_rows.conf_high,
        primary_rows.p_value,
        primary_rows.n_units,
        primary_rows.n_treated,
        primary_rows.effective_sample_size,
        primary_rows.n_trimmed,
        naive.naive_estimate,
        coalesce(agreement.n_estimated, 0) as n_estimated,
        coalesce(agreement.n_refused, 0) as n_refused,
        coalesce(agreement.n_agreeing, 0) as n_agreeing,
        agreement.consensus_estimate,
        agreement.range_low,
        agreement.range_high,
        coalesce(gate_summary.n_gates, 0) as n_gates,
        coalesce(gate_summary.n_gates_failed, 0) as n_gates_failed,
        gate_summary.gates_failed,
        sensitivity.sensitivity_reading,
        standing.standing_reading,
        studies.spec_hash,
        studies.code_hash,
        studies.data_hash,
        primary_rows.estimated_at,
        case when studies.desired_direction = 'less' then -1 else 1 end as direction
    from studies
    left join primary_rows on studies.study = primary_rows.study
    left join naive on studies.study = naive.study
    left join agreement on studies.study = agreement.study
    left join gate_summary on studies.study = gate_summary.study
    left join sensitivity on studies.study = sensitivity.study
    left join standing on studies.study = standing.study

),

turned as (

    select
        *,
        direction * estimate as gain,
        least(direction * conf_low, direction * conf_high) as gain_low,
        greatest(direction * conf_low, direction * conf_high) as gain_high
    from joined

),

decided as (

    select
        *,
        case
            when status <> 'estimated' or estimate is null then 'cannot_answer'
            when conf_low is not null and gain_low >= minimum_effect then 'ship'
            when conf_low is not null and gain_high < minimum_effect then 'do_not_ship'
            when conf_low is not null then 'extend'
            when p_value <= {{ var('placebo_alpha') }} and gain >= minimum_effect then 'ship'
            when p_value <= {{ var('placebo_alpha') }} then 'do_not_ship'
            else 'extend'
        end as decision,
        case
            when n_gates_failed > 0 then 'low'
            when conf_low is not null and n_agreeing < 0.5 * n_estimated then 'low'
            when
                n_agreeing >= {{ var('agreement_share') }} * n_estimated
                and n_estimated >= 3
                and conf_low is not null
                then 'high'
            else 'moderate'
        end as confidence_if_estimated,
        {{ format_significant('minimum_effect') }} || coalesce(' ' || effect_unit, '') as wanted,
        {{ format_significant('estimate') }} || coalesce(' ' || effect_unit, '') as shown,
        coalesce(
            '[' || {{ format_significant('conf_low') }} || ', ' || {{ format_significant('conf_high') }} || ']', ''
        ) as shown_interval,
        'without an interval the placebo p-value decides: ' || {{ format_number('p_value', 3) }} as placebo_reading
    from turned

),

final as (

    select
        study,
        question,
        design,
        population,
        decision,
        case
            when decision = 'cannot_answer' then 'the primary estimate is ' || replace(status, '_', ' ')
            when conf_low is null and decision = 'extend' and p_value is null
                then 'there is no bounded interval, so the data cannot tell'
            when conf_low is null and decision = 'extend'
                then placebo_reading || ' is above {{ var('placebo_alpha') }}'
            when conf_low is null
                then placebo_reading || ' is at or below {{ var('placebo_alpha') }}, and the effect is ' || shown
            when decision = 'ship' then 'the whole interval ' || shown_interval || ' is at or beyond ' || wanted
            when decision = 'do_not_ship' then 'the whole interval ' || shown_interval || ' is short of ' || wanted
            else 'the interval ' || shown_interval || ' holds the minimum effect of ' || wanted
        end as rule_fired,
        'ship if the whole interval of the primary estimate is at or beyond ' || wanted
        || case when desired_direction = 'less' then ' less' else ' more' end
        || '; do not ship if it is all short of that; extend if it holds it; cannot answer if the primary is refused'
            as declared_rule,
        case
            when decision = 'cannot_answer' then 'low'
            -- methods that agree on not knowing give no high confidence
            when decision = 'extend' and confidence_if_estimated = 'high' then 'moderate'
            else confidence_if_estimated
        end as confidence,
        estimator,
        specification,
        estimand,
        term,
        case
            when estimand = 'LATE' and design = 'rd' then 'for units at the cutoff only'
            when estimand = 'LATE' then 'for compliers: units whose treatment the instrument moves'
            when estimand = 'ATT' then 'for the treated units'
            when estimand = 'ATO' then 'for units that could be in either arm'
            when estimand = 'ATE' then 'for the whole population studied'
        end as scope,
        outcome,
        outcome_unit,
        effect_unit,
        treatment,
        status,
        status_reason,
        estimate,
        std_error,
        conf_low,
        conf_high,
        p_value,
        n_units,
        n_treated,
        effective_sample_size,
        n_trimmed,
        desired_direction,
        minimum_effect,
        value_per_unit,
        cost_per_unit,
        -- without a declared cost there is no net benefit
        value_per_unit * gain - cost_per_unit as net_benefit,
        value_per_unit * gain_low - cost_per_unit as net_benefit_low,
        value_per_unit * gain_high - cost_per_unit as net_benefit_high,
        naive_estimate,
        n_estimated,
        n_refused,
        n_agreeing,
        consensus_estimate,
        range_low,
        range_high,
        n_gates,
        n_gates_failed,
        gates_failed,
        sensitivity_reading,
        case
            when status = 'failed' then 'Mend what the reason names and build again.'
            when decision = 'cannot_answer'
                then coalesce(standing_reading || ' ', '') || 'Change the design or the population before asking again.'
            when decision = 'extend' then 'Collect more data, or declare a design with more power.'
            when decision = 'ship' then 'Act on it, and measure again after the roll-out.'
            else 'Leave it, or look for another lever.'
        end as next_step,
        spec_hash,
        code_hash,
        data_hash,
        estimated_at
    from decided

)

select * from final
