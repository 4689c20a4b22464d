"""What can be known of an instrument before the outcome is looked at."""

from __future__ import annotations

from ..errors import Refusal
from ..problem import Problem
from ..result import DesignRow, number
from ..thresholds import limit
from .partialled import partialled
from .system import System
from .weak import strength


def instrument_design(problem: Problem) -> list[DesignRow]:
    """First-stage strength of the default instruments: rows ``first_stage_f`` and ``effective_f`` of the treatment.

    ``first_stage_f`` is the F that `iv` itself decides by: the classical one with ``variance: classical``, otherwise
    the effective F (Montiel Olea & Pflueger 2013), which with one instrument is the robust F. No outcome is used. Where
    the first stage cannot be had the values are None and the reason says why.
    """
    try:
        p: System | Refusal = partialled(problem.for_run("iv", "default"))
    except Refusal as refusal:
        p = refusal
    return design_rows(p, str(problem.study.treatment))


def design_rows(p: System | Refusal, name: str) -> list[DesignRow]:
    """The rows of one system, or of why there is none; see `instrument_design`."""
    if isinstance(p, Refusal):
        return [DesignRow("iv", metric, name, None, str(p)) for metric in ("first_stage_f", "effective_f")]
    f = strength(p)
    kind = "classical F" if p.variance == "classical" else "effective F"
    bar = limit("first_stage")
    moved = "enough for normal intervals" if f.decisive >= bar else "weak: only the Anderson-Rubin set is reported"
    return [
        DesignRow(
            "iv",
            "first_stage_f",
            name,
            number(f.decisive),
            f"{kind} {f.decisive:.3g} against {bar:g}: {moved}",
        ),
        DesignRow("iv", "effective_f", name, number(f.effective), f"effective F of {p.q} instrument(s) on {name}"),
    ]
