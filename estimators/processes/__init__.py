"""Data-generating processes with known truth, one domain a file; `estimators.generate` lists them."""
