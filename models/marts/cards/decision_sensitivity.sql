-- How wrong the assumptions would have to be, in one sentence, and the flip points: the smallest departures that change
-- the decision. Rows are of the primary run; where it has none, of the estimator `sensitivity` for the same estimand.

with

cards as (

    select * from {{ ref('decision_primary') }}

),

matched as (

    select
        cards.study,
        cards.estimand,
        cards.estimate,
        rows_.method,
        rows_.subject,
        rows_.value,
        rows_.reading,
        rank() over (
            partition by cards.study, rows_.method
            order by
                case
                    when rows_.estimator = cards.estimator and rows_.specification = cards.specification then 1 else 2
                end
        ) as preference
    from cards
    inner join {{ ref('sensitivity') }} as rows_
        on
            cards.study = rows_.study
            and cards.estimand = rows_.estimand
    where
        cards.status = 'estimated'
        and (
            (rows_.estimator = cards.estimator and rows_.specification = cards.specification)
            or (rows_.estimator = 'sensitivity' and rows_.specification = 'default')
        )

),

measures as (

    select
        study,
        max(case when method = 'robustness_value' and subject = 'q=1' then value end) as robustness,
        max(case when method = 'robustness_value' and subject = 'q=1,alpha=0.05' then value end)
            as robustness_of_interval,
        bool_or(method = 'robustness_value' and reading like '%the instrument%') as is_of_instrument,
        max(case when method = 'e_value' and subject = 'point' then value end) as e_value,
        max(case when method = 'e_value' and subject = 'bound' then value end) as e_value_of_interval,
        -- bias of the treatment's coefficient: not of a part that goes through a mediator
        max(
            case
                when
                    method = 'tipping_point' and subject = 'partial_r2' and estimand in ('ATE', 'ATT', 'ATO')
                    then value
            end
        ) as tipping_r2,
        max(case when method = 'honest_did' and subject = 'relative_magnitudes: dynamic' then value end) as m_bar,
        max(case when method = 'mediation_rho' then value end) as rho,
        -- the measured covariate whose like would take most off the estimate
        min_by(subject, value * sign(estimate)) filter (where method = 'benchmark' and value is not null) as strongest,
        min(value * sign(estimate)) filter (where method = 'benchmark') as left_of_size,
        min_by(value, value * sign(estimate)) filter (where method = 'benchmark' and value is not null) as left_over
    from matched
    where preference = 1
    group by study

),

benchmarks as (

    select
        curves.study,
        max_by(curves.series, curves.x * curves.y) as strongest,
        max_by(curves.x, curves.x * curves.y) as share_of_treatment,
        max_by(curves.y, curves.x * curves.y) as share_of_outcome
    from {{ ref('estimator_curves') }} as curves
    inner join cards
        on
            curves.study = cards.study
            and curves.estimand = cards.estimand
    where curves.curve = 'confounding_benchmarks'
    group by curves.study

),

joined as (

    select
        cards.*,
        measures.robustness,
        measures.robustness_of_interval,
        measures.is_of_instrument,
        measures.e_value,
        measures.e_value_of_interval,
        measures.tipping_r2,
        measures.m_bar,
        measures.rho,
        measures.left_of_size,
        measures.left_over,
        '''' || coalesce(benchmarks.strongest, measures.strongest) || '''' as strongest,
        benchmarks.share_of_treatment,
        benchmarks.share_of_outcome,
        case
            when cards.gain_low >= cards.minimum_effect then cards.gain_low - cards.minimum_effect
            when cards.gain_high < cards.minimum_effect then cards.minimum_effect - cards.gain_high
            when cards.gain_low is not null then 0.0
        end as flip_bias
    from cards
    left join measures on cards.study = measures.study
    left join benchmarks on cards.study = benchmarks.study

),

worded as (

    select
        *,
        {{ card_benchmark_reading() }} as beside,
        case
            when design = 'experiment' and estimand in ('ATE', 'ATT', 'ATO') and estimator <> 'transportability'
                then 'Treatment was drawn by lot, so a confounder could come in only by a broken lot or by drop-out. '
            else ''
        end as preface
    from joined

),

final as (

    select
        study,
        {{ card_sensitivity_reading() }} as sensitivity_reading,
        flip_bias,
        tipping_r2 as flip_confounder_r2,
        m_bar as flip_m_bar,
        e_value_of_interval as flip_e_value,
        {{ card_flip_reading() }} as flip_reading
    from worded

)

select * from final
