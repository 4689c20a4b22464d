with

declared as (

    {{ declared_studies() }}

),

estimates as (

    select * from {{ ref('estimates') }}

),

measured as (

    select
        study,
        max(n_units) as n_units,
        max(spec_hash) as spec_hash,
        max(data_hash) as data_hash,
        max(code_hash) as code_hash,
        max(estimated_at) as estimated_at
    from estimates
    where outcome_role = 'primary'
    group by study

),

final as (

    select
        declared.study,
        declared.question,
        declared.design,
        declared.population,
        declared.outcome,
        declared.outcome_unit,
        declared.treatment_unit,
        declared.treatment,
        declared.desired_direction,
        declared.minimum_effect,
        declared.value_per_unit,
        declared.cost_per_unit,
        declared.is_a_a_test,
        declared.covariates_undated,
        declared.roles,
        declared.declared_hash,
        measured.n_units,
        measured.spec_hash,
        measured.data_hash,
        measured.code_hash,
        measured.estimated_at
    from declared
    left join measured on declared.study = measured.study

)

select * from final
