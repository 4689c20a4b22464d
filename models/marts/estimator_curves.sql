-- Curves that estimators wrote with their estimates: what decisions read of curves.
with

effects as (

    {{ effects_with('curves') }}

),

final as (

    {{ entries_of('effects', 'curves', {
        'curve': 'VARCHAR', 'series': 'VARCHAR', 'x': 'DOUBLE', 'x_label': 'VARCHAR', 'y': 'DOUBLE',
        'conf_low': 'DOUBLE', 'conf_high': 'DOUBLE'
    }) }}

)

select * from final
