-- What the outcome would be on average without treatment, for whom the primary estimand speaks; a relative effect needs
-- it. A study without a row has no such number: compliers, cohorts and other populations cannot be told apart here.

with

primary_rows as (

    select * from {{ ref('estimates') }}
    where
        is_primary
        and status = 'estimated'

),

estimates as (

    select * from {{ ref('estimates') }}
    where outcome_role = 'primary'

),

curves as (

    select * from {{ ref('estimator_curves') }}

),

means as (

    select * from {{ ref('untreated_means') }}

),

by_scores as (

    select
        means.study,
        case
            when primary_rows.estimand = 'ATT' then means.of_treated
            when primary_rows.estimand = 'ATO' then means.of_overlap
            else means.of_all
        end as baseline,
        case
            when primary_rows.estimand = 'ATT' then 'mean of the treated without treatment, by regression'
            when primary_rows.estimand = 'ATO' then 'mean where the arms overlap, without treatment, by regression'
            else 'mean without treatment, by regression'
        end as baseline_reading
    from means
    inner join primary_rows on means.study = primary_rows.study
    where
        primary_rows.estimand in ('ATE', 'ATT', 'ATO', 'ACME', 'ADE', 'TOTAL')
        and primary_rows.estimator not in ('did', 'twfe', 'panel_matching', 'transportability', 'its')

),

curves_of_primary as (

    select
        primary_rows.study,
        primary_rows.estimate,
        primary_rows.contrast,
        curves.curve,
        curves.series,
        curves.x,
        curves.y
    from primary_rows
    inner join curves
        on
            primary_rows.study = curves.study
            and primary_rows.estimator = curves.estimator
            and primary_rows.specification = curves.specification
            and primary_rows.estimand = curves.estimand

),

-- the two lines meet at the cutoff
cutoffs as (

    select
        study,
        max(x) as cutoff
    from curves_of_primary
    where
        curve = 'rd_fit'
        and series = 'left'
    group by study

),

limits as (

    select
        curves_of_primary.study,
        max(curves_of_primary.estimate) as estimate,
        max(case when curves_of_primary.contrast = 'left - right' then -1 else 1 end) as direction,
        max(case when curves_of_primary.series = 'left' then curves_of_primary.y end) as below,
        max(case when curves_of_primary.series = 'right' then curves_of_primary.y end) as above
    from curves_of_primary
    inner join cutoffs
        on
            curves_of_primary.study = cutoffs.study
            and curves_of_primary.x = cutoffs.cutoff
    where curves_of_primary.curve = 'rd_fit'
    group by curves_of_primary.study

),

-- the untreated side's limit stands for no treatment only where the jump is the estimate (not where it is fuzzy)
by_cutoff as (

    select
        study,
        case when direction = 1 then below else above end as baseline,
        case
            when direction = 1 then 'mean just below the cutoff'
            else 'mean just above the cutoff'
        end as baseline_reading
    from limits
    where abs(direction * (above - below) - estimate) <= 1e-6 * abs(estimate)

),

by_path as (

    select
        study,
        avg(y) as baseline,
        'mean of the synthetic unit after treatment began' as baseline_reading
    from curves_of_primary
    where
        curve = 'synthetic_path'
        and series = 'synthetic'
        and (study, x) in (
            select
                effects.study,
                effects.x
            from curves_of_primary as effects
            where effects.curve = 'synthetic_effect'
        )
    group by study
    union all
    select
        study,
        avg(y) as baseline,
        'mean of the trend carried on after the intervention' as baseline_reading
    from curves_of_primary
    where
        curve = 'its_path'
        and series = 'counterfactual'
    group by study

),

by_log as (

    select
        primary_rows.study,
        estimates.estimate as baseline,
        'value of the decisions as they were logged' as baseline_reading
    from primary_rows
    inner join estimates
        on
            primary_rows.study = estimates.study
            and primary_rows.estimator = estimates.estimator
            and primary_rows.specification = estimates.specification
            and primary_rows.estimand = estimates.estimand
            and estimates.term = 'logged'

),

final as (

    select * from by_scores
    where baseline is not null
    union all
    select * from by_cutoff
    union all
    select * from by_path
    union all
    select * from by_log

)

select * from final
