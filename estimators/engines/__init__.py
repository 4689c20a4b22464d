"""Studies on an engine that is not DuckDB: Spark, or what Ibis speaks to. The engine adds up, and only sums leave it.

engine      a connection: it runs queries, knows its columns, and hands rows over through Arrow
translate   DuckDB's SQL as the engine writes it
source      the rows, for all that asks a `scan.stream.Source` by SQL
problem     what an estimator is handed above the row budget
numbers     columns, standardised columns, linear forms and their sums as SQL
variances   HC and cluster variances                      for `scan.hc`
instrumental  the sums of linear IV                       for `scan.instrumental`
logit       a logit by Newton's method, a query a step    for `scan.logistic`
weighting   ipw and ope from the logit's propensities     for `streamed.weighing` and `streamed.spreads`
scores      the scores table as a query of the engine     for `streamed.scores`
"""
