-- The leaf that fails the build: broken contracts and studies whose gates were not judged. NULL severity counts as
-- broken. It hangs on the cards, so that they do not hang on it: dbt skips a model whose parents' tests fail, unless
-- the test has a parent which that model has not.
-- depends_on: {{ ref('decision_cards') }}
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
