{{ study_gates(
    study='pension',
    block=config.meta_get('study', {}),
    units=ref('pension_units'),
    scores=ref('pension_scores'),
    design=ref('pension_design')
) }}
