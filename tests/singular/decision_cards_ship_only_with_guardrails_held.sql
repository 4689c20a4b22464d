-- Nothing ships past a guardrail that is not held, and nothing but a missing estimate outweighs one that is breached.
select
    study,
    decision,
    n_guardrails,
    n_guardrails_held,
    n_guardrails_breached
from {{ ref('decision_cards') }}
where
    (decision = 'ship' and n_guardrails_held <> n_guardrails)
    or (n_guardrails_breached > 0 and decision not in ('do_not_ship', 'cannot_answer'))
