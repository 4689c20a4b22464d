with

customers as (

    select * from {{ ref('stg_generated__ecommerce_units') }}

),

-- the policy that is asked about: banner 2 for everybody; a column an action, named after it
final as (

    select
        *,
        0 as policy_0,
        0 as policy_1,
        1 as policy_2
    from customers

)

select * from final
