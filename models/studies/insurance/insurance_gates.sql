{{ study_gates(
    study='insurance',
    block=config.meta_get('study', {}),
    units=ref('insurance_units'),
    design=ref('insurance_design')
) }}
