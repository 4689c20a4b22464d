{{ cqox.study_gates(
    study='unknown_option',
    block=config.meta_get('study', {}),
    units=ref('unknown_option_units'),
    scores=ref('unknown_option_scores'),
    design=ref('unknown_option_design')
) }}
