-- "No effect" needs an interval that holds zero and nothing that matters; "too imprecise" never stands beside ship, and
-- beside do not ship only where a guardrail is breached.
select
    study,
    decision,
    finding,
    conf_low,
    conf_high
from {{ ref('decision_cards') }}
where
    (finding = 'no_effect' and not coalesce(conf_low <= 0 and conf_high >= 0, false))
    or (finding = 'no_effect' and greatest(abs(conf_low), abs(conf_high)) >= minimum_effect)
    or (finding = 'too_imprecise' and decision = 'ship')
    or (finding = 'too_imprecise' and decision = 'do_not_ship' and n_guardrails_breached = 0)
    or (finding = 'no_estimate') <> (decision = 'cannot_answer')
