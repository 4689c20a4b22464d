{{ study_gates(
    study='nsw_aa',
    block=config.meta_get('study', {}),
    units=ref('nsw_aa_units'),
    scores=ref('nsw_aa_scores'),
    design=ref('nsw_aa_design')
) }}
