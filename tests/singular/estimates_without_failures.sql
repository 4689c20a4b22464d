-- A declaration that is wrong, or an estimator that broke, is a `failed` row: it fails the build, refusals do not.
select
    study,
    estimator,
    specification,
    estimand,
    status_reason
from {{ ref('estimates') }}
where coalesce(status, 'failed') = 'failed'
