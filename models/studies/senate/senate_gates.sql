{{ study_gates(
    study='senate',
    block=config.meta_get('study', {}),
    units=ref('senate_units'),
    design=ref('senate_design')
) }}
