with

effects as (

    {{ effects_with('curves') }}

),

estimated as (

    {{ entries_of('effects', 'curves', {
        'curve': 'VARCHAR', 'series': 'VARCHAR', 'x': 'DOUBLE', 'x_label': 'VARCHAR', 'y': 'DOUBLE',
        'conf_low': 'DOUBLE', 'conf_high': 'DOUBLE'
    }) }}

),

histograms as (

    {{ propensity_histograms() }}

),

drawn as (

    {{ figure_curves() }}

),

final as (

    select * from estimated
    union all
    -- scores carry no time: they are of this build where the effects, which hang on them, are
    select * from histograms
    where histograms.study in (select effects.study from effects)
    union all
    select * from drawn
    where drawn.study in (select effects.study from effects)

)

select * from final
