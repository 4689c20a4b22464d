with

source as (

    select * from {{ source('causaldata', 'nsw_mixtape') }}

),

renamed as (

    select
        cast(treat as integer) as treat,
        cast(age as integer) as age,
        cast(educ as integer) as education,
        cast(black as integer) as black,
        cast(hisp as integer) as hispanic,
        cast(marr as integer) as married,
        cast(nodegree as integer) as nodegree,
        cast(re74 as double) as re74,
        cast(re75 as double) as re75,
        cast(re78 as double) as re78,
        -- stands for the order in which people came; no part of their content
        cast(file_row_number + 1 as bigint) as row_in_file
    from source

),

final as (

    select
        -- the file has no id: one from the content, whatever the order of the rows
        {{ content_id('row(treat, age, education, black, hispanic, married, nodegree, re74, re75, re78)') }} as unit_id,
        *
    from renamed

)

select * from final
