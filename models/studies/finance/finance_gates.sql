{{ study_gates(
    study='finance',
    block=config.meta_get('study', {}),
    units=ref('finance_units'),
    scores=ref('finance_scores'),
    design=ref('finance_design')
) }}
