-- Nobody was treated in an A/A study: a decision to ship would show that the pipeline finds effects that are not there.
select
    cards.study,
    cards.decision,
    cards.rule_fired
from {{ ref('decision_cards') }} as cards
inner join {{ ref('studies') }} as studies on cards.study = studies.study
where
    studies.is_a_a_test
    and cards.decision = 'ship'
