-- How the estimates of the primary's estimand stand to it and to each other. Agreement is taken within one estimand and
-- one population: a local effect, or an effect in a target population, is never averaged with another. The estimator
-- `sensitivity` asks how far an estimate bends and is no estimate of its own.
-- Cochran's Q takes the estimates as independent. They share their data, so it understates disagreement: a small p
-- tells of one, a large p does not rule it out.

with

estimates as (

    select * from {{ ref('estimates') }}
    where outcome_role = 'primary'

),

primary_rows as (

    select * from estimates
    where is_primary

),

catalogue as (

    select
        *,
        ' ' || coalesce(needs, '') || ' ' like '% sample %' as is_of_target
    from {{ ref('estimator_catalogue') }}

),

candidates as (

    select
        estimates.study,
        estimates.estimator,
        catalogue.title,
        estimates.status,
        estimates.estimate,
        estimates.std_error,
        primary_rows.conf_low,
        primary_rows.conf_high,
        -- one row an estimator: the primary's own, else the same term, else the overall one
        row_number() over (
            partition by estimates.study, estimates.estimator
            order by
                case when estimates.is_primary then 0 when estimates.term = primary_rows.term then 1 else 2 end,
                estimates.specification,
                estimates.term
        ) as place
    from estimates
    inner join primary_rows
        on
            estimates.study = primary_rows.study
            and estimates.estimand = primary_rows.estimand
    left join catalogue on estimates.estimator = catalogue.estimator
    left join catalogue as own on primary_rows.estimator = own.estimator
    where
        (
            estimates.is_primary
            or (
                estimates.specification = 'default'
                and estimates.term in ('overall', primary_rows.term)
                and not coalesce(catalogue.is_beside, false)
            )
        )
        and coalesce(catalogue.is_of_target, false) = coalesce(own.is_of_target, false)

),

peers as (

    select
        *,
        case when std_error > 0 and estimate is not null then 1 / (std_error * std_error) end as weight
    from candidates
    where place = 1

),

centred as (

    select
        *,
        count(weight) over peers_of_study as n_weighted,
        sum(weight) over peers_of_study as all_weights,
        sum(weight * estimate) over peers_of_study / sum(weight) over peers_of_study as centre
    from peers
    -- in one order, or the last digit would be that of the threads
    window
        peers_of_study as (
            partition by study order by estimator rows between unbounded preceding and unbounded following
        )

),

-- `drop_of_q`: by how much Q falls where this estimate is left out
pulled as (

    select
        *,
        weight * (estimate - centre) * (estimate - centre) as part_of_q,
        weight * (estimate - centre) * (estimate - centre) * all_weights / nullif(all_weights - weight, 0) as drop_of_q
    from centred

),

counted as (

    select
        study,
        cast(sum(case when status = 'estimated' then 1 else 0 end) as bigint) as n_estimated,
        cast(sum(case when status = 'estimated' then 0 else 1 end) as bigint) as n_refused,
        cast(sum(case when estimate between conf_low and conf_high then 1 else 0 end) as bigint) as n_agreeing,
        percentile_cont(0.5) within group (order by estimate) as consensus_estimate,
        min(estimate) as range_low,
        max(estimate) as range_high,
        case when max(n_weighted) > 1 then sum(part_of_q order by estimator) end as heterogeneity_q,
        cast(case when max(n_weighted) > 1 then max(n_weighted) - 1 end as bigint) as heterogeneity_df,
        coalesce(max_by(title, drop_of_q), max_by(estimator, drop_of_q)) as furthest,
        max_by(estimate, drop_of_q) as furthest_estimate
    from pulled
    group by study

),

tested as (

    select
        *,
        {{ chi_square_tail('heterogeneity_q', 'heterogeneity_df') }} as heterogeneity_p
    from counted

),

final as (

    select
        study,
        n_estimated,
        n_refused,
        n_agreeing,
        consensus_estimate,
        range_low,
        range_high,
        heterogeneity_q,
        heterogeneity_df,
        heterogeneity_p,
        case when n_estimated > 1 and (n_agreeing < n_estimated or heterogeneity_p < 0.05) then furthest end
            as heterogeneity_driver,
        case when n_estimated > 1 and (n_agreeing < n_estimated or heterogeneity_p < 0.05) then furthest_estimate end
            as driver_estimate,
        {{ card_heterogeneity_reading() }} as heterogeneity_reading
    from tested

)

select * from final
