-- Each row's hash is taken over the row and the hash before it; a changed, lost or inserted row shows here.
with

chained as (

    select
        *,
        lag(row_hash, 1, '') over (order by position) as expected_previous,
        lag(position, 1, 0) over (order by position) as position_before
    from {{ ref('build_log') }}

)

select
    position,
    node
from chained
where
    previous_hash <> expected_previous
    or position <> position_before + 1
    or row_hash <> md5(concat_ws('|', position, build_id, node, resource_type, status, message, previous_hash))
