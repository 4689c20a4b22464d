{{ config(materialized='each_study', columns=untreated_mean_columns()) }}

-- What units would have on average without treatment, by the regressions of the scores.
{{ untreated_means() }}
