{{ study_gates(
    study='nsw',
    block=config.meta_get('study', {}),
    units=ref('nsw_units'),
    scores=ref('nsw_scores'),
    design=ref('nsw_design')
) }}
