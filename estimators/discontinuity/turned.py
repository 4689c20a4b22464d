"""Results of the mirrored running variable −x at −c, told of x at c: sides are exchanged and positions turned."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator

from ..errors import Refusal
from ..result import CurvePoint, Diagnostic, Result

OTHER = {"left": "right", "right": "left"}
# Curves whose x is the running variable; those of bandwidths have distances, which turning leaves alone.
BY_POSITION = ("rd_bins", "rd_fit", "running_density", "placebo_cutoffs")


def turned_back(result: Result) -> Result:
    """The result of x at c from that of −x at −c; estimates are contrasts of treated and untreated, and stand."""
    return dataclasses.replace(result, diagnostics=_diagnostics(result.diagnostics), curves=_curves(result.curves))


@contextlib.contextmanager
def words_turned_back(cutoff: float, turned: bool) -> Iterator[None]:
    """Refusals that name a side or the cutoff name those of x."""
    try:
        yield
    except Refusal as refusal:
        if not turned:
            raise
        raise Refusal(_words(refusal.reason, cutoff), refusal.mend, refusal.status) from None


def _words(text: str, cutoff: float) -> str:
    text = text.replace(f"the cutoff {mirrored(cutoff):g}", f"the cutoff {cutoff:g}")
    held = text.replace("left of the cutoff", "\0")
    return held.replace("right of the cutoff", "left of the cutoff").replace("\0", "right of the cutoff")


def mirrored(value: float) -> float:
    """−value, without a negative zero."""
    return 0.0 - value


def _diagnostics(rows: tuple[Diagnostic, ...]) -> tuple[Diagnostic, ...]:
    by_side = {(row.metric, row.subject): row for row in rows}
    out = []
    for row in rows:
        own = row
        if row.subject in OTHER:
            own = dataclasses.replace(by_side[row.metric, OTHER[row.subject]], subject=row.subject)
        if row.metric == "first_stage" and row.value is not None:
            own = dataclasses.replace(row, value=mirrored(row.value))
        out.append(own)
    return tuple(out)


def _curves(points: tuple[CurvePoint, ...]) -> tuple[CurvePoint, ...]:
    """Points of a curve keep their place in the table, in ascending order again."""
    out: list[CurvePoint] = []
    for name in dict.fromkeys(point.curve for point in points):
        own = [point for point in points if point.curve == name]
        if name in BY_POSITION:
            own = [
                dataclasses.replace(p, series=OTHER[p.series], x=None if p.x is None else mirrored(p.x))
                for p in reversed(own)
            ]
        out += own
    return tuple(out)
