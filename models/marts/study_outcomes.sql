-- One row a study and declared outcome: the primary one, the secondary ones, and the guardrails with their margins.
with

final as (

    {{ declared_outcomes() }}

)

select * from final
