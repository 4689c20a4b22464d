-- In a generated study every estimate that has an error lies within 3.5 of its errors of the truth.
select
    estimates.study,
    estimates.estimator,
    estimates.estimand,
    estimates.term,
    estimates.estimate,
    estimates.std_error,
    truths.truth
from {{ ref('estimates') }} as estimates
inner join {{ ref('known_truths') }} as truths
    on
        estimates.study = truths.study
        and estimates.estimator = truths.estimator
        and estimates.estimand = truths.estimand
        and estimates.term = truths.term
where
    estimates.outcome_role = 'primary'
    and estimates.specification = 'default'
    and estimates.status = 'estimated'
    and not coalesce(abs(estimates.estimate - truths.truth) <= 3.5 * estimates.std_error, estimates.std_error is null)
