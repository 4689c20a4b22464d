-- A card tells what the data allow to say. It proves nothing, and a decision is not "significant".
select
    study,
    decision
from {{ ref('decision_cards') }}
where
    regexp_matches(
        lower(
            concat_ws(
                ' ', rule_fired, finding_reading, confidence_reason, value_reading, heterogeneity_reading,
                sensitivity_reading, flip_reading, groups_reading, caveats, next_step
            )
        ),
        '\b(proved|proven|proof|significant|significantly)\b'
    )
