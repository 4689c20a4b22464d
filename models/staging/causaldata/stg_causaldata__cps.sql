with

source as (

    select * from {{ source('causaldata', 'cps_mixtape') }}

),

final as (

    select
        -- the file has no identifier: a unit is its row, counted from one
        cast(file_row_number + 1 as bigint) as unit_id,
        cast(treat as integer) as treat,
        cast(age as integer) as age,
        cast(educ as integer) as education,
        cast(black as integer) as black,
        cast(hisp as integer) as hispanic,
        cast(marr as integer) as married,
        cast(nodegree as integer) as nodegree,
        cast(re74 as double) as re74,
        cast(re75 as double) as re75,
        cast(re78 as double) as re78
    from source

)

select * from final
