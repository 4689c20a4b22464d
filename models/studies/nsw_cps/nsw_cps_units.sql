with

treated as (

    select * from {{ ref('stg_causaldata__nsw') }}
    where treat = 1

),

controls as (

    select * from {{ ref('stg_causaldata__cps') }}

),

both_groups as (

    select
        'nsw' as source_file,
        * exclude (row_in_file)
    from treated
    union all by name
    select
        'cps' as source_file,
        *
    from controls

),

final as (

    select
        source_file || '-' || unit_id as unit_id,
        * exclude (unit_id, source_file)
    from both_groups

)

select * from final
