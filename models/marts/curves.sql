-- All that figures draw. A curve that could not be computed is one row of status `failed`, with the reason.
with

estimated as (

    select
        *,
        'drawn' as status,
        {{ null_text() }} as status_reason
    from {{ ref('estimator_curves') }}

),

final as (

    select * from estimated
    union all
    select * from {{ ref('figure_curves') }}

)

select * from final
