-- One number back to where it came from: declaration, data, code and the build that wrote it.
select
    estimates.study,
    estimates.estimator,
    estimates.estimand,
    estimates.estimate,
    estimates.spec_hash,
    estimates.data_hash,
    estimates.code_hash,
    build_log.build_id,
    build_log.logged_at,
    build_log.row_hash
from {{ ref('estimates') }} as estimates
left join {{ ref('build_log') }} as build_log
    on
        estimates.estimated_at <= build_log.logged_at
        and build_log.node like 'model.%.' || estimates.study || '_effects'
where estimates.is_primary
qualify row_number() over (partition by estimates.study order by build_log.position) = 1
order by estimates.study
