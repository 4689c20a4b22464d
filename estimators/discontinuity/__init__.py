"""Regression discontinuity."""
