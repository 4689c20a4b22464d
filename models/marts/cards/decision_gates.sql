-- The gates that concern the primary estimate: how many failed, and each with its worst check as JSON.

with

primary_rows as (

    select * from {{ ref('estimates') }}
    where is_primary

),

checks as (

    select
        gates.*,
        gates.reason like 'not applicable%' as is_idle,
        row_number() over (
            partition by gates.study, gates.gate
            order by gates.is_passing asc, abs(gates.value) desc nulls last, gates.subject asc
        ) as place,
        count(*) over (partition by gates.study, gates.gate) as n_checks,
        sum(case when gates.is_passing then 0 else 1 end) over (partition by gates.study, gates.gate) as n_failed
    from {{ ref('gates') }} as gates
    left join primary_rows on gates.study = primary_rows.study
    where
        (gates.estimator is null or gates.estimator = primary_rows.estimator)
        and (gates.estimand is null or gates.estimand = primary_rows.estimand)
        and gates.severity <> 'info'

),

final as (

    select
        study,
        count(*) as n_gates,
        cast(sum(case when is_passing then 0 else 1 end) as bigint) as n_gates_failed,
        string_agg(
            distinct case when not is_passing then gate end, ', '
            order by case when not is_passing then gate end
        ) as gates_failed,
        cast(
            to_json(
                list(
                    {
                        'gate': gate,
                        'verdict': case
                            when is_idle then 'not applicable' when is_passing then 'passed' else 'failed'
                        end,
                        'subject': subject,
                        'value': value,
                        'threshold': threshold,
                        'checks': n_checks,
                        'failed': n_failed,
                        'blocks': blocks,
                        'reason': reason,
                        'mend': remedy
                    }
                    order by is_passing, gate
                ) filter (where place = 1)
            ) as varchar
        ) as gates
    from checks
    group by study

)

select * from final
