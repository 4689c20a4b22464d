"""Data-generating processes with known truth, one file a family of estimators: see benchmarks/calibrate.py.

A file has

- ``ESTIMATORS``: the names that its processes are for;
- ``DGPS``: name to a function (rng, n) → (units, block, edges or None, truth), where truth maps (estimand, term) to a
  value, for each estimator the same, or (estimator, estimand, term) where they differ;
- ``HOLDS``: estimator to the names of the processes under which its assumptions hold: there coverage is judged;
- ``SIZES``: name to n, where it is not 1,000;
- ``COSTLY``: estimators that get 200 draws instead of 500.
"""
