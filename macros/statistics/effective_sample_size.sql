{# Kish's effective sample size of each arm under weights: (sum w)² / sum w². Gives estimand, estimator, arm, value. #}
{% macro effective_sample_sizes(relation, treatment, weights) %}
    {% for w in weights %}
        select
            {{ cqox.as_text("'" ~ w.estimand ~ "'") }} as estimand,
            {{ cqox.as_text("'" ~ w.estimator ~ "'") }} as estimator,
            -- an aggregate without groups gives one row even where there are no units: NULL, and the gate fails
            min(arm_size) as value
        from (
            select power(sum({{ w.column }}), 2) / nullif(sum(power({{ w.column }}, 2)), 0) as arm_size
            from {{ relation }}
            group by {{ treatment }}
        ) as arms_{{ loop.index }}
        {{ "union all" if not loop.last }}
    {% endfor %}
{% endmacro %}
