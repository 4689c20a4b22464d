{{ cqox.study_gates(
    study='missing_file',
    block=config.meta_get('study', {}),
    units=ref('missing_file_units'),
    scores=ref('missing_file_scores'),
    design=ref('missing_file_design')
) }}
