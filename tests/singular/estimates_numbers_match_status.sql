-- A refused or failed row carries no number and a reason; an estimated row carries a number.
select
    study,
    estimator,
    specification,
    estimand,
    term,
    status
from {{ ref('estimates') }}
where
    case
        when status = 'estimated' then estimate is null
        else
            coalesce(estimate, std_error, conf_low, conf_high, p_value) is not null
            or status_reason is null
    end
