{{ cqox.study_gates(
    study='null_covariate',
    block=config.meta_get('study', {}),
    units=ref('null_covariate_units'),
    scores=ref('null_covariate_scores'),
    design=ref('null_covariate_design')
) }}
