"""Estimators that ask for no unmeasured confounding."""
