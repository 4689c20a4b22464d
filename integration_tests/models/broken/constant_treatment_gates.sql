{{ cqox.study_gates(
    study='constant_treatment',
    block=config.meta_get('study', {}),
    units=ref('constant_treatment_units'),
    scores=ref('constant_treatment_scores'),
    design=ref('constant_treatment_design')
) }}
