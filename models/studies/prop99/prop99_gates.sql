{{ study_gates(
    study='prop99',
    block=config.meta_get('study', {}),
    units=ref('prop99_units'),
    design=ref('prop99_design')
) }}
