{{ cqox.study_gates(
    study='duplicate_units',
    block=config.meta_get('study', {}),
    units=ref('duplicate_units_units'),
    scores=ref('duplicate_units_scores'),
    design=ref('duplicate_units_design')
) }}
