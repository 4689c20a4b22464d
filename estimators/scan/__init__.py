"""Estimation by scans: rows stream through once or a few times, and only sums of them are kept.

stream    rows of a DuckDB source as blocks of float64
columns   terms, folds, arms and clusters as SQL
frame     a block standardised into one buffer
moments_scan   one scan -> Moments a group
solve     least squares, PLR, 2SLS, VIF, SMD and robustness values from Moments
hc        one more scan -> HC and cluster variances, with a step of refinement
clusters  sums a cluster, added up by DuckDB
instrumental   2SLS, LIML, GMM and their tests from Moments and one more scan
features  squares and products of columns, and their cross-products by arm
arm_fit   an arm's (penalised) least squares from cross-products
forest    an arm's random forest: trained on a sample, read by a stream
logistic  a logit or probit by Newton's method, a scan a step; likelihood has the sums, subsample begins and corrects it
normal    the normal distribution function as SQL
strata    exact quantiles of the propensities that a fit shows
weighting one last scan -> the sums of IPW; doubly_robust those of AIPW, stratified those of strata
balance   standardised differences from sums
writer    columns computed block by block, of which DuckDB makes a table; room, the buffers of a scan
sums      the same Moments as SQL sums of any engine
"""
