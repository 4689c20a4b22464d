{{ study_gates(
    study='nhefs_dose',
    block=config.meta_get('study', {}),
    units=ref('nhefs_dose_units')
) }}
