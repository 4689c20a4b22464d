{{ config(materialized='each_study', columns=curve_columns()) }}

-- Curves that figures draw and no estimator writes. Nothing that decides reads them.
{{ figure_curves() }}
