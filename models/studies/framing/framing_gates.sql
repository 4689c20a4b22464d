{{ study_gates(
    study='framing',
    block=config.meta_get('study', {}),
    units=ref('framing_units'),
    scores=ref('framing_scores'),
    design=ref('framing_design')
) }}
