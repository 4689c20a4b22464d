"""Whose effect is larger: averages of doubly robust scores by group and by predicted effect."""
