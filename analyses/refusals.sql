-- Which estimates were refused, and which gates did it.
select
    study,
    estimator,
    estimand,
    outcome,
    status,
    status_reason
from {{ ref('estimates') }}
where status <> 'estimated'
order by study, estimator, estimand, outcome
