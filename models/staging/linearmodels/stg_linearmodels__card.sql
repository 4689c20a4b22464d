with

source as (

    select * from {{ source('linearmodels', 'card') }}

),

renamed as (

    select
        cast(lwage as double) as lwage,
        cast(educ as integer) as educ,
        cast(nearc2 as integer) as nearc2,
        cast(nearc4 as integer) as nearc4,
        cast(exper as integer) as exper,
        cast(black as integer) as black,
        cast(smsa as integer) as smsa,
        cast(south as integer) as south,
        cast(smsa66 as integer) as smsa66,
        cast(reg662 as integer) as reg662,
        cast(reg663 as integer) as reg663,
        cast(reg664 as integer) as reg664,
        cast(reg665 as integer) as reg665,
        cast(reg666 as integer) as reg666,
        cast(reg667 as integer) as reg667,
        cast(reg668 as integer) as reg668,
        cast(reg669 as integer) as reg669
    from source

),

final as (

    select
        -- the file's own id repeats: one from the content, whatever the order of the rows
        {{ content_id('renamed') }} as unit_id,
        *
    from renamed

)

select * from final
