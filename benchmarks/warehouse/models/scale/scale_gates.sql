{{ cqox.study_gates(
    study='scale',
    block=config.meta_get('study', {}),
    units=ref('scale_units'),
    scores=ref('scale_scores'),
    design=ref('scale_design')
) }}
