{{ study_gates(
    study='ecommerce',
    block=config.meta_get('study', {}),
    units=ref('ecommerce_units'),
    scores=ref('ecommerce_scores'),
    design=ref('ecommerce_design')
) }}
