-- A declaration that is wrong, or an estimator that broke, is a `failed` row: it fails the build, refusals do not.
-- It hangs on the cards, so that they are written all the same (see gates_without_broken_contracts).
-- depends_on: {{ ref('decision_cards') }}
select
    study,
    estimator,
    specification,
    estimand,
    status_reason
from {{ ref('estimates') }}
where coalesce(status, 'failed') = 'failed'
