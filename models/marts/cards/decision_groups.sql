-- Whether the effect differs between the declared groups: the least and the most affected, and the smallest p-value of
-- a difference after Holm's correction. Groups come from the doubly robust scores of `cate`, else of `causal_forest`.

with

groups as (

    select
        *,
        rank() over (
            partition by study order by case when estimator = 'cate' then 1 else 2 end
        ) as preference
    from {{ ref('estimates') }}
    where
        outcome_role = 'primary'
        and estimator in ('cate', 'causal_forest')
        and specification = 'default'
        and estimand = 'ATE'
        and status = 'estimated'
        and contrast = '1 - 0'
        and term like '%=%'
        and term not like 'gates=%'

),

extremes as (

    select
        groups.study,
        groups.estimator,
        count(*) as n_groups,
        min_by(groups.term, groups.estimate) as least_group,
        min(groups.estimate) as least_effect,
        max_by(groups.term, groups.estimate) as most_group,
        max(groups.estimate) as most_effect
    from groups
    where groups.preference = 1
    group by groups.study, groups.estimator

),

contrasts as (

    select
        study,
        estimator,
        min(value) as groups_p
    from {{ ref('diagnostics') }}
    where
        metric = 'group_contrast_p_holm'
        and specification = 'default'
    group by study, estimator

),

final as (

    select
        extremes.study,
        extremes.n_groups,
        extremes.least_group,
        extremes.least_effect,
        extremes.most_group,
        extremes.most_effect,
        contrasts.groups_p,
        {{ card_groups_reading() }} as groups_reading
    from extremes
    left join contrasts
        on
            extremes.study = contrasts.study
            and extremes.estimator = contrasts.estimator

)

select * from final
