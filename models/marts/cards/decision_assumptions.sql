-- What the primary estimate assumes, one sentence a line: what the data could contradict, with what the gates said, and
-- what no data can. The seed `assumptions` finds its phrases in what the estimator catalogue says.

with

primary_rows as (

    select * from {{ ref('estimates') }}
    where is_primary

),

studies as (

    select * from {{ ref('studies') }}

),

verdicts as (

    select
        gates.study,
        gates.gate,
        bool_and(gates.is_passing) as is_passing
    from {{ ref('gates') }} as gates
    inner join primary_rows on gates.study = primary_rows.study
    where
        (gates.estimator is null or gates.estimator = primary_rows.estimator)
        and (gates.estimand is null or gates.estimand = primary_rows.estimand)
        and gates.reason not like 'not applicable%'
    group by gates.study, gates.gate

),

assumed as (

    select
        primary_rows.study,
        assumptions.place,
        assumptions.is_testable,
        assumptions.assumption || case
            when not assumptions.is_testable then ''
            when verdicts.is_passing is null then ' (' || assumptions.checked_by || '; not checked here)'
            when verdicts.is_passing then ' (' || assumptions.checked_by || ': not contradicted)'
            else ' (' || assumptions.checked_by || ': contradicted)'
        end as told
    from primary_rows
    inner join studies on primary_rows.study = studies.study
    inner join {{ ref('estimator_catalogue') }} as catalogue on primary_rows.estimator = catalogue.estimator
    inner join {{ ref('assumptions') }} as assumptions
        on assumptions.phrase is null or strpos(lower(catalogue.assumptions), assumptions.phrase) > 0
    left join verdicts
        on
            primary_rows.study = verdicts.study
            and assumptions.gate = verdicts.gate
    -- where treatment was drawn by lot, what drawing by lot ensures is not assumed
    where assumptions.only_for is null or (assumptions.only_for = 'experiment') = (studies.design = 'experiment')

),

final as (

    select
        study,
        string_agg(case when is_testable then told end, chr(10) order by place) as assumptions_testable,
        string_agg(case when not is_testable then told end, chr(10) order by place) as assumptions_untestable
    from assumed
    group by study

)

select * from final
