{{ study_gates(
    study='open_bandit',
    block=config.meta_get('study', {}),
    units=ref('open_bandit_units')
) }}
