{{ cqox.study_gates(
    study='third_arm',
    block=config.meta_get('study', {}),
    units=ref('third_arm_units'),
    scores=ref('third_arm_scores'),
    design=ref('third_arm_design')
) }}
