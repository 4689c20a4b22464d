with

customers as (

    select * from {{ ref('stg_generated__ecommerce_units') }}

),

-- the policy that is asked about: the third banner for everybody
final as (

    select
        *,
        0 as first_banner,
        0 as second_banner,
        1 as third_banner
    from customers

)

select * from final
