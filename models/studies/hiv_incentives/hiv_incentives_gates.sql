{{ study_gates(
    study='hiv_incentives',
    block=config.meta_get('study', {}),
    units=ref('hiv_incentives_units'),
    scores=ref('hiv_incentives_scores'),
    design=ref('hiv_incentives_design')
) }}
