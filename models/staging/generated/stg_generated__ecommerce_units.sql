with

source as (

    select * from {{ source('generated', 'ecommerce_units') }}

),

final as (

    select
        cast(customer_id as integer) as customer_id,
        cast(offer as integer) as offer,
        cast(member as integer) as member,
        cast(bought as integer) as bought,
        cast(visits as double) as visits,
        cast(age as double) as age,
        cast(mobile as integer) as mobile,
        cast(banner as integer) as banner,
        cast(banner_probability as double) as banner_probability
    from source

)

select * from final
