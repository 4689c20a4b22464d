{{ cqox.study_gates(
    study='unknown_estimator',
    block=config.meta_get('study', {}),
    units=ref('unknown_estimator_units'),
    scores=ref('unknown_estimator_scores'),
    design=ref('unknown_estimator_design')
) }}
