{{ study_gates(
    study='nsw_transport',
    block=config.meta_get('study', {}),
    units=ref('nsw_transport_units'),
    scores=ref('nsw_transport_scores'),
    design=ref('nsw_transport_design')
) }}
