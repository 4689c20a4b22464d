-- A new estimator's assumptions must be in the seed `assumptions`, or its cards would tell none.
select catalogue.estimator
from {{ ref('estimator_catalogue') }} as catalogue
left join {{ ref('assumptions') }} as assumptions
    on strpos(lower(catalogue.assumptions), assumptions.phrase) > 0
where catalogue.estimator <> 'sensitivity'
group by catalogue.estimator
having count(assumptions.phrase) = 0
