{{ study_gates(
    study='card',
    block=config.meta_get('study', {}),
    units=ref('card_units'),
    design=ref('card_design')
) }}
