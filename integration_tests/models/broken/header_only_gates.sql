{{ cqox.study_gates(
    study='header_only',
    block=config.meta_get('study', {}),
    units=ref('header_only_units'),
    scores=ref('header_only_scores'),
    design=ref('header_only_design')
) }}
