with

effects as (

    {{ effects_with('diagnostics') }}

),

final as (

    {{ entries_of('effects', 'diagnostics', {
        'metric': 'VARCHAR', 'subject': 'VARCHAR', 'value': 'DOUBLE', 'threshold': 'DOUBLE', 'is_passing': 'BOOLEAN'
    }) }}

)

select * from final
