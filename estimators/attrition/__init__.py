"""Rows that lack a value: how many each arm lost, whether that differs, and what it could do to the effect."""
