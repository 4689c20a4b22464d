{{ cqox.study_gates(
    study='trial',
    block=config.meta_get('study', {}),
    units=ref('trial_units'),
    scores=ref('trial_scores'),
    design=ref('trial_design')
) }}
