with

staged as (

    select * from {{ ref('stg_wooldridge__401ksubs') }}

)

select * from staged
