-- What the gates caught: a warning with its count, not a failure. nsw_cps is there to be caught.
{{ config(severity='warn') }}

select
    study,
    gate,
    subject,
    estimand,
    estimator,
    reason
from {{ ref('gates') }}
where
    not coalesce(is_passing, false)
    and blocks
    and severity = 'warn'
