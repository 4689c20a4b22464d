-- No decision stands on a primary estimate that was not estimated.
select
    study,
    decision,
    status
from {{ ref('decision_cards') }}
where (decision = 'cannot_answer') <> (status <> 'estimated')
