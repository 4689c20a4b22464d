{{ study_gates(
    study='nsw_cps',
    block=config.meta_get('study', {}),
    units=ref('nsw_cps_units'),
    scores=ref('nsw_cps_scores'),
    design=ref('nsw_cps_design')
) }}
