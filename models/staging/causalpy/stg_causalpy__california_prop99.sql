with

source as (

    select * from {{ source('causalpy', 'california_prop99') }}

),

-- the raw file is wide, one column a state
long as (

    unpivot source
    on columns(* exclude (year))
    into name state value cigsale

),

final as (

    select
        cast(state as varchar) as state,
        cast(year as integer) as year,
        cast(cigsale as double) as cigsale
    from long

)

select * from final
