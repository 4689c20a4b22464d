"""The targets of "One scan" and what was measured against each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.design import Limits
from benchmarks.results import Record, Results, finished, slope, spread

ROWS = 10_000_000
REGRESSIONS = ("statsmodels_ols", "pyfixest_ols", "linearmodels_iv")
PLR = ("econml_plr", "doubleml_plr")
DID = ("diff_diff", "csdid")
SCALED = ("moments", "linear", "propensity", "psm", "did", "study")


@dataclass(frozen=True)
class Target:
    """One target.

    Attributes
    ----------
    what : str
    wanted : str
    measured : str
    met : bool or None
        None where it was not measured.
    """

    what: str
    wanted: str
    measured: str
    met: bool | None


def targets(results: Results, rows: int = ROWS) -> list[Target]:
    """All of them: ratios at one size, slopes and memory over all sizes."""
    return [
        _floor_ratio(results, rows, "moments", 3.0),
        _floor_ratio(results, rows, "linear", 8.0),
        _faster(results, rows, "linear", REGRESSIONS, 5.0, "the fastest peer's one regression"),
        _faster(results, rows, "linear", PLR, 20.0, "EconML's and DoubleML's PLR"),
        _leaner(results, rows, "linear", PLR, 20.0),
        _floor_ratio(results, rows, "propensity", 30.0),
        _matching(results, rows, 5.0),
        _faster(results, rows, "did", DID, 5.0, "the faster of diff-diff and csdid"),
        *(_slope(results, job) for job in SCALED),
        *(_flat(results, job) for job in SCALED),
    ]


def _unknown(what: str, wanted: str) -> Target:
    return Target(what, wanted, "not measured", None)


def _floor_ratio(results: Results, rows: int, job: str, most: float) -> Target:
    what, wanted, one = f"{job}, in process", f"≤ {most:g} × floor", results.get(job, rows)
    if one is None or not finished(one):
        return _unknown(what, wanted)
    return Target(what, wanted, f"{one['ratio']:.2f} ×", one["ratio"] <= most)


def _matching(results: Results, rows: int, most: float) -> Target:
    what, wanted, one = "psm, beyond the propensity's fit", f"≤ {most:g} × floor", results.get("psm", rows)
    if one is None or not finished(one):
        return _unknown(what, wanted)
    ratio = one["numbers"]["match_s"] / one["floor"]
    return Target(what, wanted, f"{ratio:.2f} ×", ratio <= most)


def _at_least(peers: Sequence[Record | None], key: str, limit: float, stopped: str) -> tuple[float, bool] | None:
    """The smallest cost among peers, and whether it is only a lower bound (each was stopped at that limit)."""
    known = [one[key] for one in peers if one is not None and finished(one)]
    bound = [limit for one in peers if one is not None and one["status"].endswith(stopped) and one["status"][0] == ">"]
    if not known and not bound:
        return None
    return (min(known), False) if known and min(known) <= min([*bound, min(known)]) else (min(bound), True)


def _faster(results: Results, rows: int, job: str, peers: Sequence[str], least: float, than: str) -> Target:
    what, wanted = f"{job} against {than}, whole process", f"≥ {least:g} × faster"
    own = results.get(job, rows)
    cost = _at_least([results.get(peer, rows) for peer in peers], "process", Limits().seconds, "min")
    if own is None or not finished(own) or cost is None:
        return _unknown(what, wanted)
    ratio = cost[0] / own["process"]
    met = True if ratio >= least else None if cost[1] else False
    return Target(what, wanted, f"{'> ' if cost[1] else ''}{ratio:.1f} ×", met)


def _leaner(results: Results, rows: int, job: str, peers: Sequence[str], least: float) -> Target:
    what, wanted = f"{job}'s peak memory against EconML's and DoubleML's PLR", f"≤ 1/{least:g}"
    own = results.get(job, rows)
    cost = _at_least([results.get(peer, rows) for peer in peers], "peak_mib", Limits().mib, "GiB")
    if own is None or not finished(own) or cost is None:
        return _unknown(what, wanted)
    ratio = cost[0] / own["peak_mib"]
    met = True if ratio >= least else None if cost[1] else False
    return Target(what, wanted, f"1/{ratio:.0f}{' or less' if cost[1] else ''}", met)


def _slope(results: Results, job: str) -> Target:
    """With the slope of the floors that were run around the job: what one scan itself loses at small sizes."""
    found, floor = (slope(results.series(job, key)) for key in ("wall", "floor"))
    what, wanted = f"{job}: log-log slope of seconds", "0.9 to 1.1"
    if found is None:
        return _unknown(what, wanted)
    return Target(what, wanted, f"{found:.2f} (floor {floor:.2f})", 0.9 <= found <= 1.1)


def _flat(results: Results, job: str) -> Target:
    found = spread(results.series(job, "peak_mib"))
    what, wanted = f"{job}: peak memory over the sizes", "± 10 %"
    return _unknown(what, wanted) if found is None else Target(what, wanted, f"± {found:.0%}", found <= 0.1)
