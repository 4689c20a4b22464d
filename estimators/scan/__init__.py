"""Estimation by scans: rows stream through once or a few times, and only sums of them are kept.

stream    rows of a DuckDB source as blocks of float64
columns   terms, folds, arms and clusters as SQL
frame     a block standardised into one buffer
moments_scan   one scan -> Moments a group
solve     least squares, PLR, 2SLS, VIF, SMD and robustness values from Moments
hc        one more scan -> HC and cluster variances, with a step of refinement
logistic  a logit by Newton's method, a scan a step
weighting one last scan -> scores of each unit, and every sum that IPW and AIPW need
strata    stratification from the table of scores
sums      the same Moments as SQL sums of any engine
"""
