with

staged as (

    select * from {{ ref('stg_sensemakr__darfur') }}

)

select * from staged
