{{ study_gates(
    study='education',
    block=config.meta_get('study', {}),
    units=ref('education_units'),
    scores=ref('education_scores'),
    design=ref('education_design')
) }}
