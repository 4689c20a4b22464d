with

staged as (

    select * from {{ ref('stg_generated__units') }}

),

-- the fold is computed once here, not in every scan of every estimator
final as (

    select
        * exclude (fold),
        {{ cqox.md5_fold('id', var('seed'), var('folds')) }} as fold
    from staged

)

select * from final
