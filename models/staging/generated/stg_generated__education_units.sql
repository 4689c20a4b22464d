with

source as (

    select * from {{ source('generated', 'education_units') }}

),

final as (

    select
        cast(pupil_id as integer) as pupil_id,
        cast(school as integer) as school,
        cast(tutored as integer) as tutored,
        cast(attendance as double) as attendance,
        cast(score as double) as score,
        cast(prior_score as double) as prior_score,
        cast(graduate as integer) as graduate,
        cast(girl as integer) as girl
    from source

)

select * from final
