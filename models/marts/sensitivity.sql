with

effects as (

    {{ effects_with('sensitivity') }}

),

final as (

    {{ entries_of('effects', 'sensitivity', {
        'method': 'VARCHAR', 'subject': 'VARCHAR', 'value': 'DOUBLE', 'reading': 'VARCHAR'
    }) }}

)

select * from final
