with

participants as (

    select * from {{ ref('stg_causaldata__thornton_hiv') }}

),

-- all who drew a voucher or none: those who lack an outcome or another column stay, and `missing: drop` counts them
final as (

    select *
    from participants
    where incentive is not null

)

select * from final
