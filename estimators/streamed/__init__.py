"""Estimators that never hold a study's rows: one file an estimator, named as in memory, on the engine of `scan`.

problem   Streamed: what a run is handed where a study has more rows than its ``row_budget``
facts     what the contracts ask of the units, by SQL
A file here has the function of its in-memory namesake with the same rows to 1e-9; tests compare them.
"""
