{{ cqox.study_gates(
    study='text_outcome',
    block=config.meta_get('study', {}),
    units=ref('text_outcome_units'),
    scores=ref('text_outcome_scores'),
    design=ref('text_outcome_design')
) }}
