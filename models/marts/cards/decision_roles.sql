-- Declared roles that no estimator of the study uses, or that the primary does not, in a sentence each.

with

told as (

    select
        study,
        subject,
        max(value) as n_using
    from {{ ref('diagnostics') }}
    where metric = 'role_unused'
    group by study, subject

),

final as (

    select
        study,
        'Declared, and used by no estimator: '
        || replace(string_agg(case when n_using = 0 then subject end, ', ' order by subject), '_', ' ')
            as unused_reading,
        'Declared, and not used by the primary estimator: '
        || replace(string_agg(case when n_using > 0 then subject end, ', ' order by subject), '_', ' ')
            as unused_by_primary_reading
    from told
    group by study

)

select * from final
