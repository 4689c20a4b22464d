-- One row a study: what was declared, and the estimate that the decision reads. `gain` is the effect turned so that
-- more is better: for a study that wants less, the effect and its interval change sign.

with

studies as (

    select * from {{ ref('studies') }}

),

outcomes as (

    select * from {{ ref('estimates') }}
    where outcome_role in ('primary', 'secondary')

),

estimates as (

    select * from outcomes
    where outcome_role = 'primary'

),

primary_rows as (

    select * from estimates
    where is_primary

),

naives as (

    select estimator from {{ ref('estimator_catalogue') }}
    where is_naive

),

baselines as (

    select * from {{ ref('decision_baselines') }}

),

naive as (

    select
        study,
        -- two-way fixed effects adjust for units and periods: told only where no plain contrast is
        coalesce(max(case when estimator <> 'twfe' then estimate end), max(estimate)) as naive_estimate
    from estimates
    where
        estimator in (select naives.estimator from naives)
        and specification = 'default'
    group by study

),

-- the confirmatory family: the primary run for the primary and every declared secondary outcome
family as (

    select
        outcomes.study,
        outcomes.outcome,
        outcomes.is_primary,
        outcomes.p_value,
        count(*) over (partition by outcomes.study) as n_confirmatory,
        row_number() over (partition by outcomes.study order by outcomes.p_value, outcomes.outcome) as place
    from outcomes
    inner join primary_rows
        on
            outcomes.study = primary_rows.study
            and outcomes.estimator = primary_rows.estimator
            and outcomes.estimand = primary_rows.estimand
            and outcomes.term = primary_rows.term
            -- a secondary outcome runs by the default options, whatever the primary's specification
            and (outcomes.specification = primary_rows.specification or outcomes.outcome_role = 'secondary')
    where outcomes.p_value is not null

),

-- Holm: the smallest p times the size of the family, the next times one less, and never below the one before
holm as (

    select
        study,
        is_primary,
        n_confirmatory,
        least(1.0, max(p_value * (n_confirmatory - place + 1)) over (partition by study order by place)) as p_adjusted
    from family

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
            when primary_rows.contrast <> 'per unit' or primary_rows.n_treated is not null then ''
            -- a treatment with a unit of its own: `per year of schooling`, but `from none to all`
            when studies.treatment_unit like 'from %' then ' ' || studies.treatment_unit
            else ' per ' || coalesce(studies.treatment_unit, 'unit of treatment')
        end as effect_unit,
        studies.treatment,
        studies.desired_direction,
        case when studies.desired_direction = 'less' then -1 else 1 end as direction,
        studies.minimum_effect,
        studies.value_per_unit,
        studies.cost_per_unit,
        studies.is_a_a_test,
        studies.covariates_undated,
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
        holm.p_adjusted,
        coalesce(holm.n_confirmatory, 1) as n_confirmatory,
        primary_rows.n_units,
        primary_rows.n_treated,
        primary_rows.effective_sample_size,
        primary_rows.n_trimmed,
        primary_rows.n_trimmed / nullif(primary_rows.n_units + primary_rows.n_trimmed, 0) as share_trimmed,
        naive.naive_estimate,
        baselines.baseline,
        baselines.baseline_reading,
        -- logarithms are relative by themselves, and a level at or below zero is no base
        case
            when baselines.baseline > 0 and coalesce(studies.outcome_unit, '') not like 'log%' then baselines.baseline
        end as base,
        studies.spec_hash,
        studies.code_hash,
        studies.data_hash,
        primary_rows.estimated_at
    from studies
    left join primary_rows on studies.study = primary_rows.study
    left join naive on studies.study = naive.study
    left join holm
        on
            studies.study = holm.study
            and holm.is_primary
    left join baselines on studies.study = baselines.study

),

final as (

    select
        * exclude (base),
        estimate / base as relative_effect,
        conf_low / base as relative_low,
        conf_high / base as relative_high,
        -- with 80 % power in a two-sided test at 5 %
        (1.959964 + 0.841621) * coalesce(std_error, (conf_high - conf_low) / (2 * 1.959964))
            as minimum_detectable_effect,
        direction * estimate as gain,
        least(direction * conf_low, direction * conf_high) as gain_low,
        greatest(direction * conf_low, direction * conf_high) as gain_high
    from joined

)

select * from final
