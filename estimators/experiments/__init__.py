"""Estimators and design checks of randomised studies."""
