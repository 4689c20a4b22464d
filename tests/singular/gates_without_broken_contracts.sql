-- The leaf that fails the build: broken contracts and studies whose gates were not judged. Nothing hangs on it, so
-- every other study's rows stand. NULL severity counts as broken.
select
    study,
    gate,
    subject,
    reason,
    remedy
from {{ ref('gates') }}
where
    not coalesce(is_passing, false)
    and coalesce(severity, 'error') = 'error'
