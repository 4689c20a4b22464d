with

source as (

    select * from {{ source('causaldata', 'nhefs_complete') }}

),

final as (

    select
        cast(seqn as bigint) as unit_id,
        cast(qsmk as integer) as qsmk,
        cast(wt82_71 as double) as wt82_71,
        cast(sex as varchar) as sex,
        cast(race as varchar) as race,
        cast(age as integer) as age,
        cast(education as varchar) as education,
        cast(smokeintensity as integer) as smokeintensity,
        cast(smkintensity82_71 as integer) as smoking_change,
        cast(smokeyrs as integer) as smokeyrs,
        cast(exercise as varchar) as exercise,
        cast(active as varchar) as active,
        cast(wt71 as double) as wt71,
        cast(sbp as double) as systolic,
        cast(death as integer) as died
    from source

)

select * from final
