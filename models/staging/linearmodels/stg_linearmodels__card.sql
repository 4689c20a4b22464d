with

source as (

    select * from {{ source('linearmodels', 'card') }}

),

final as (

    select
        -- the file's id repeats: a unit is its row, counted from one
        cast(file_row_number as bigint) as unit_id,
        cast(lwage as double) as lwage,
        cast(educ as integer) as educ,
        cast(nearc2 as integer) as nearc2,
        cast(nearc4 as integer) as nearc4,
        cast(exper as integer) as exper,
        cast(black as integer) as black,
        cast(smsa as integer) as smsa,
        cast(south as integer) as south,
        cast(smsa66 as integer) as smsa66,
        {% for region in range(662, 670) -%}
            cast(reg{{ region }} as integer) as reg{{ region }}{{ "," if not loop.last }}
        {% endfor %}
    from source

)

select * from final
