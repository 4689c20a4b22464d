{{ study_gates(
    study='excess_deaths',
    block=config.meta_get('study', {}),
    units=ref('excess_deaths_units')
) }}
