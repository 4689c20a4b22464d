{{ cqox.study_gates(
    study='cohort',
    block=config.meta_get('study', {}),
    units=ref('cohort_units'),
    scores=ref('cohort_scores'),
    design=ref('cohort_design')
) }}
