"""Figures drawn from the rows of marts; `figures.registry.CATALOGUE` lists them."""
