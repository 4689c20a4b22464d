"""Units followed over time."""
