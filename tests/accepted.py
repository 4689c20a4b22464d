"""docs/accepted.md: every reference number, ours beside it, written by the reference tests (``make accepted``)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REFERENCES = Path(__file__).resolve().parents[2] / "shared" / "data" / "references.json"
PAGE = Path(__file__).resolve().parents[1] / "docs" / "accepted.md"
HEAD = """# Published numbers, and ours

Written by `make accepted` from the comparisons that tests/reference makes; the numbers of others are those of
references.json, which names their sources and packages. `value` is the published one, or the peer's where nothing is
published; the tolerance is the row's own, or half a unit of the last digit that is stored.

| # | data | method | quantity | theirs | ours | difference | compared | verdict |
|---|---|---|---|---|---|---|---|---|
"""


@dataclass
class Comparisons:
    """What the tests of one run compared: (row, key) to the verdict's cells."""

    made: dict[tuple[int, str], tuple[float | None, float | None, str]] = field(default_factory=dict)

    def record(self, row: dict[str, Any], key: str, ours: float | None, theirs: float | None, verdict: str) -> None:
        """Remember one comparison; the first of a row and key stands."""
        if "row" in row:
            self.made.setdefault((row["row"], key), (ours, theirs, verdict))

    def page(self) -> str:
        """The page, one line a comparison, and one for each row that nothing was compared with."""
        lines = []
        for number, row in enumerate(json.loads(REFERENCES.read_text())):
            own = {key: cells for (at, key), cells in self.made.items() if at == number}
            for key, (ours, theirs, verdict) in own.items() or {"": (None, None, _without(row))}.items():
                what = [str(number), row["dataset"], row["estimator"], row["quantity"]]
                gap = None if ours is None or theirs is None else ours - theirs
                cells = [*what, _shown(theirs), _shown(ours), _shown(gap, 2), key, verdict]
                lines.append("| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |")
        return HEAD + "\n".join(lines) + "\n"


def _without(row: dict[str, Any]) -> str:
    return f"not compared ({row['status']})"


def _shown(value: float | None, digits: int = 7) -> str:
    return "" if value is None else f"{value:.{digits}g}"
