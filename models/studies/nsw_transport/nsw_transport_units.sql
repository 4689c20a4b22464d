with

trial as (

    select * from {{ ref('stg_causaldata__nsw') }}

),

respondents as (

    select * from {{ ref('stg_causaldata__cps') }}

),

both_groups as (

    select
        'nsw' as source_file,
        1 as in_study,
        * exclude (row_in_file)
    from trial
    union all by name
    select
        'cps' as source_file,
        0 as in_study,
        -- the target's treatment and outcome are not read
        * exclude (treat, re78)
    from respondents

),

final as (

    select
        source_file || '-' || unit_id as unit_id,
        * exclude (unit_id, source_file)
    from both_groups

)

select * from final
