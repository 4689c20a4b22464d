{{ study_gates(
    study='healthcare',
    block=config.meta_get('study', {}),
    units=ref('healthcare_units'),
    scores=ref('healthcare_scores'),
    design=ref('healthcare_design')
) }}
