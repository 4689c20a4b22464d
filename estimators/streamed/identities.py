"""`estimators.identities` by SQL: one aggregate of correlations."""

from __future__ import annotations

from collections.abc import Mapping

from ..contracts import Facts
from ..identities import ROWS_AT_LEAST, is_one, pairs, told
from ..scan.stream import Source, quoted
from ..study import Study
from .facts import missing


def check(source: Source, study: Study, types: Mapping[str, str], found: Facts) -> None:
    """Raise where two roles that must differ are one column by value: see `estimators.identities.check`."""
    usable = {name for name, column in found.columns.items() if column.text is None and column.largest > 0}
    asked = [pair for pair in pairs(study) if pair[1] in usable and pair[3] in usable]
    if not asked or found.rows < ROWS_AT_LEAST:
        return
    selected = []
    for _, name, _, held, _ in asked:
        one, two = (f"{quoted(c)}::double / {found.columns[c].largest!r}::double" for c in (name, held))
        kept = f"filter (where not {missing(name, types)} and not {missing(held, types)})"
        selected += [f"count(*) {kept}", f"corr({one}, {two}) {kept}"]
    values = source.one(", ".join(selected))
    for pair, rows, correlation in zip(asked, values[::2], values[1::2], strict=True):
        if rows >= ROWS_AT_LEAST and is_one(correlation):
            raise told(study, *pair)
