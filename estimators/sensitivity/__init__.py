"""How wrong the assumptions would have to be."""
