{{ cqox.study_gates(
    study='unknown_role',
    block=config.meta_get('study', {}),
    units=ref('unknown_role_units'),
    scores=ref('unknown_role_scores'),
    design=ref('unknown_role_design')
) }}
