{{ study_gates(
    study='mpdta',
    block=config.meta_get('study', {}),
    units=ref('mpdta_units'),
    design=ref('mpdta_design')
) }}
