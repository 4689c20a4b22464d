{{ cqox.study_gates(
    study='missing_column',
    block=config.meta_get('study', {}),
    units=ref('missing_column_units'),
    scores=ref('missing_column_scores'),
    design=ref('missing_column_design')
) }}
