with

participants as (

    select * from {{ ref('stg_causaldata__thornton_hiv') }}

),

-- those who were tested, and of whom every column is known
final as (

    select *
    from participants
    where
        learned is not null
        and incentive is not null
        and hiv_positive is not null
        and age is not null
        and village is not null

)

select * from final
