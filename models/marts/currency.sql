{{ config(materialized='view') }}

-- Whether what the marts say of a study is of the rows that stand: read it before a card is shown. A card is current
-- when the hashes of its data, declaration and code, and its estimate, are those of the study's effects now, whichever
-- build made them. After a `dbt build` that broke off, cards of an earlier build may stand beside newer effects: here
-- they are told apart.
with

effects as (

    {{ effects_that_stand() }}

),

failures as (

    {{ last_runs_that_failed() }}

),

estimates as (

    select * from {{ in_this_database(ref('estimates')) }}
    where is_primary

),

cards as (

    select * from {{ in_this_database(ref('decision_cards')) }}

),

compared as (

    select
        studies.study,
        cards.build_id,
        cards.spec_hash,
        cards.code_hash,
        cards.data_hash,
        cards.estimated_at,
        case
            when cards.study is null then 'it has no card: run `make build`'
            -- a card that says that the study failed is true while the study's last run has failed
            when failures.study is not null and cards.status = 'failed' then null
            when failures.study is not null
                then 'its last run failed: ' || failures.reason || '. Mend it and build again'
            when effects.study is null
                then
                    'its effects are not there: run dbt build --select +' || studies.study
                    || '_effects, then the marts'
            when studies.declared_hash <> effects.spec_hash
                then 'its declaration has changed since it was estimated: build it again'
            when coalesce(cards.spec_hash, '') <> coalesce(effects.spec_hash, '')
                then 'its declaration has changed since the card was made: build the marts again'
            when coalesce(cards.data_hash, '') <> coalesce(effects.data_hash, '')
                then 'its data have changed since the card was made: build the marts again'
            when coalesce(cards.code_hash, '') <> coalesce(effects.code_hash, '')
                then 'it was estimated again by other code since the card was made: build the marts again'
            when effects.units_stand <> effects.units_hash
                then 'its units were made anew since it was estimated: build it again'
            when effects.gates_stand <> effects.gates_hash
                then 'its gates were judged anew since it was estimated: build it again'
            when
                coalesce(cards.status, '') <> coalesce(effects.status, '')
                or coalesce(estimates.status, '') <> coalesce(effects.status, '')
                or abs(cards.estimate - effects.estimate) > 1e-9 * abs(effects.estimate)
                or abs(estimates.estimate - effects.estimate) > 1e-9 * abs(effects.estimate)
                or (cards.estimate is null) <> (effects.estimate is null)
                then 'its estimates have changed since the card was made: build the marts again'
        end as reason
    from {{ in_this_database(ref('studies')) }} as studies
    left join cards on studies.study = cards.study
    left join estimates on studies.study = estimates.study
    left join effects on studies.study = effects.study
    left join failures
        on
            studies.study = failures.study
            and failures.failed_at > coalesce(effects.estimated_at, timestamp '1970-01-01')

),

final as (

    select
        study,
        reason is null as is_current,
        reason,
        build_id,
        spec_hash,
        code_hash,
        data_hash,
        estimated_at
    from compared

)

select * from final
