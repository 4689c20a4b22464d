{{ cqox.study_gates(
    study='zero_bytes',
    block=config.meta_get('study', {}),
    units=ref('zero_bytes_units'),
    scores=ref('zero_bytes_scores'),
    design=ref('zero_bytes_design')
) }}
