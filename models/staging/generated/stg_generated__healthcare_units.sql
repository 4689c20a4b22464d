with

source as (

    select * from {{ source('generated', 'healthcare_units') }}

),

final as (

    select
        cast(patient_id as integer) as patient_id,
        cast(month as integer) as month,
        cast(clinic as integer) as clinic,
        cast(in_study as integer) as in_study,
        cast(health as double) as health,
        cast(enrolled as integer) as enrolled,
        cast(adherence as double) as adherence,
        cast(severity as double) as severity,
        cast(age as double) as age,
        cast(female as integer) as female,
        cast(bmi as double) as bmi,
        cast(letter as integer) as letter,
        cast(lab as double) as lab,
        cast(dose as double) as dose,
        cast(arm as integer) as arm,
        cast(arm_probability as double) as arm_probability,
        cast(cohort as integer) as cohort,
        cast(proxy_exposure_1 as double) as proxy_exposure_1,
        cast(proxy_exposure_2 as double) as proxy_exposure_2,
        cast(proxy_outcome_1 as double) as proxy_outcome_1,
        cast(proxy_outcome_2 as double) as proxy_outcome_2
    from source

)

select * from final
