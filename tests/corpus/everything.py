"""All broken studies."""

from __future__ import annotations

from . import declarations, designs, names, rows, types, values, weights
from .case import Case

CASES: dict[str, Case] = {}
for module in (declarations, rows, values, types, names, designs, weights):
    for one in module.CASES:
        assert one.name not in CASES, f"two studies are called {one.name}"
        CASES[one.name] = one
