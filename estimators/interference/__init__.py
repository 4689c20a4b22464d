"""Interference: a unit's outcome depends on its neighbours' treatments too."""
