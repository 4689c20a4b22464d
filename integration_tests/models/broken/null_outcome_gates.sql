{{ cqox.study_gates(
    study='null_outcome',
    block=config.meta_get('study', {}),
    units=ref('null_outcome_units'),
    scores=ref('null_outcome_scores'),
    design=ref('null_outcome_design')
) }}
