-- The switch `vars: cqox: studies` and the marts agree: nothing that was asked for is missing.
with

listed as (

    {{ listed_studies() }}

)

select listed.study
from listed
left join {{ ref('decision_cards') }} as cards on listed.study = cards.study
left join {{ ref('estimates') }} as estimates on listed.study = estimates.study
where
    cards.study is null
    or estimates.study is null
