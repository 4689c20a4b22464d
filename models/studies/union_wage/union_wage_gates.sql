{{ study_gates(
    study='union_wage',
    block=config.meta_get('study', {}),
    units=ref('union_wage_units'),
    scores=ref('union_wage_scores'),
    design=ref('union_wage_design')
) }}
