-- One row a study with secondary outcomes or guardrails: how the guardrails stand, and each outcome's sentence.

with

outcomes as (

    select * from {{ ref('decision_guardrails') }}

),

final as (

    select
        study,
        cast(count(verdict) as bigint) as n_guardrails,
        cast(count(case when verdict = 'held' then 1 end) as bigint) as n_guardrails_held,
        cast(count(case when verdict = 'breached' then 1 end) as bigint) as n_guardrails_breached,
        cast(count(case when verdict = 'unclear' then 1 end) as bigint) as n_guardrails_unclear,
        string_agg(case when verdict = 'breached' then outcome end, ', ' order by outcome) as guardrails_breached,
        string_agg(case when verdict = 'unclear' then outcome end, ', ' order by outcome) as guardrails_unclear,
        string_agg(case when outcome_role = 'guardrail' then reading end, chr(10) order by outcome)
            as guardrails_reading,
        string_agg(case when outcome_role = 'secondary' then reading end, chr(10) order by outcome)
            as secondary_reading,
        cast(
            to_json(
                list(
                    {
                        'outcome': outcome,
                        'role': outcome_role,
                        'status': status,
                        'estimate': estimate,
                        'conf_low': conf_low,
                        'conf_high': conf_high,
                        'p_value': p_value,
                        'p_adjusted': p_adjusted,
                        'desired_direction': desired_direction,
                        'margin': margin,
                        'verdict': verdict,
                        'reading': reading
                    }
                    order by outcome_role, outcome
                )
            ) as varchar
        ) as other_outcomes
    from outcomes
    group by study

)

select * from final
