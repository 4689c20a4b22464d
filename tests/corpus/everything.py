"""All broken studies."""

from __future__ import annotations

from . import declarations, designs, names, rows, types, values, weights
from .case import Case

CASES: dict[str, Case] = {}
for module in (declarations, rows, values, types, names, designs, weights):
    for one in module.CASES:
        assert one.name not in CASES, f"two studies are called {one.name}"
        CASES[one.name] = one

# What names and types ask of one function that quotes or refuses them.
WAITING_FOR_GATES = frozenset({
    "name_with_a_space", "name_with_a_quote", "name_with_an_apostrophe", "unicode_name", "name_with_a_dash",
    "name_that_begins_with_a_digit",
})  # fmt: skip
