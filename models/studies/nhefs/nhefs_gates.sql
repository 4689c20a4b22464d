{{ study_gates(
    study='nhefs',
    block=config.meta_get('study', {}),
    units=ref('nhefs_units'),
    scores=ref('nhefs_scores'),
    design=ref('nhefs_design')
) }}
