{{ study_gates(
    study='darfur',
    block=config.meta_get('study', {}),
    units=ref('darfur_units'),
    scores=ref('darfur_scores'),
    design=ref('darfur_design')
) }}
