-- Every published number that a listed study reproduces is there and within its tolerance; a missing row fails.
with

listed as (

    {{ listed_studies() }}

),

compared as (

    select
        published.study,
        published.estimator,
        published.specification,
        published.estimand,
        published.term,
        published.quantity,
        published.published,
        published.tolerance,
        estimates.status,
        case published.quantity
            when 'estimate' then estimates.estimate
            when 'std_error' then estimates.std_error
        end as ours
    from {{ ref('published_results') }} as published
    inner join listed on published.study = listed.study
    left join {{ ref('estimates') }} as estimates
        on
            published.study = estimates.study
            and estimates.outcome_role = 'primary'
            and published.estimator = estimates.estimator
            and published.specification = estimates.specification
            and published.estimand = estimates.estimand
            and published.term = estimates.term

)

select *
from compared
where not coalesce(abs(ours - published) <= tolerance, false)
