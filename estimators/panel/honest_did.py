"""How far trends may differ after treatment before an effect of difference-in-differences is lost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..result import CurvePoint, SensitivityRow
from . import honest_relative as relative
from . import honest_smooth as smooth
from .aggregate import Average, Shares, by_share
from .att_gt import GroupTime
from .honest_relative import EventStudy
from .sample import Compared

BARS = (0.0, 0.5, 1.0, 1.5, 2.0)
# M of the curves, in standard errors of the estimate.
BENDS = (0.0, 0.05, 0.1, 0.25, 0.5)
METHOD = "honest_did"
_RANK = 1e-10


@dataclass(frozen=True)
class Honest:
    """Sensitivity rows and the curves' points."""

    rows: tuple[SensitivityRow, ...] = ()
    curves: tuple[CurvePoint, ...] = ()


@dataclass(frozen=True)
class Aligned:
    """Event-time averages against one base period: ``pre`` before it, ``post`` after it, in the order of time."""

    pre: tuple[Average, ...]
    post: tuple[Average, ...]


def honest_did(effects: GroupTime, shares: Shares, post: tuple[Average, ...], sample: Compared, seed: int) -> Honest:
    """Robust intervals and breakdown values of Rambachan & Roth (2023) for the effects of an event study.

    Two targets: ``dynamic``, the mean of the effects after treatment, and ``event_time=0`` (the first of them). Two
    restrictions on how the trends of treated and controls may differ after treatment:

    - relative magnitudes: from one period to the next by at most M̄ times the largest such difference before
      treatment; intervals from the conditional and least-favourable hybrid test (`honest_relative`);
    - smoothness: bending by at most M a period, in units of the outcome; fixed-length intervals (`honest_smooth`).

    The value of a row is the breakdown, the largest M̄ or M up to which the 95 % interval leaves zero out: 0 where it
    holds zero already without any violation, at most `honest_relative.LARGEST`. Curve ``honest_did`` has a series a
    restriction and target; at x = M̄ or M its interval is the robust one.

    Effects before treatment are told against the last period before it, also where the estimator takes single steps
    (a varying base): the coefficient at e is minus the sum of the steps from e on, cohort by cohort.

    Parameters
    ----------
    effects : GroupTime
    shares : Shares
    post : tuple of Average
        The event-time averages after treatment.
    sample : Compared
        Whose covariance of influence values (by cluster, where declared) is used.
    seed : int
        Of the draws behind the least favourable critical values.

    Returns
    -------
    Honest
        Empty without a period before the base; one row that says why, without a value, where event times have gaps.
    """
    found = aligned(effects, shares, post)
    if isinstance(found, str):
        return Honest((SensitivityRow(METHOD, "overall", None, found),)) if found else Honest()
    averages = (*found.pre, *found.post)
    vcov = sample.covariance(np.column_stack([one.psi for one in averages]))
    k, p = len(found.pre), len(found.post)
    targets = {"dynamic": np.full(p, 1 / p)} | ({"event_time=0": np.eye(p)[0]} if p > 1 else {})
    rows: list[SensitivityRow] = []
    curves: list[CurvePoint] = []
    beta = np.array([one.estimate for one in averages])
    for name, weights in targets.items():
        study = EventStudy(beta[:k], beta[k:], vcov, weights)
        if not study.std_error > 0:
            continue
        # In standard errors of the estimate, so that no tolerance depends on the outcome's unit.
        unit = study.std_error
        scaled = EventStudy(beta[:k] / unit, beta[k:] / unit, vcov / unit**2, weights)
        for one in (_relative(scaled, name, unit, seed), _smooth(scaled, name, unit)):
            rows += one.rows
            curves += one.curves
    return Honest(tuple(rows), tuple(curves))


def aligned(effects: GroupTime, shares: Shares, post: tuple[Average, ...]) -> Aligned | str:
    """Coefficients of equally distant event times around one base, or why there are none (empty: no period before)."""
    cells, att = effects.cells, effects.att
    own: list[tuple[float, float, float, np.ndarray]] = []
    bases = set()
    for g in sorted({cell.cohort for cell in cells}):
        of_cohort = [j for j, cell in enumerate(cells) if cell.cohort == g]
        last = {cells[j].base for j in of_cohort if cells[j].is_post}
        if len(last) != 1:
            continue  # no effect after treatment
        base = last.pop()
        bases.add(base - g)
        total, psi, at = 0.0, np.zeros(effects.psi.shape[0]), base
        for j in sorted((j for j in of_cohort if not cells[j].is_post), key=lambda j: -cells[j].time):
            if cells[j].time != at:
                break  # a step without controls: nothing before it hangs together with the base
            total, psi, at = total - att[j], psi - effects.psi[:, j], cells[j].base
            own.append((g, at - g, total, psi))
    times = sorted({e for _, e, _, _ in own})
    if not times:
        return ""
    ahead = [one.at for one in post if one.at is not None]
    every = np.array([*times, *sorted(bases), *ahead])
    gaps = np.diff(every)
    if len(bases) > 1 or not np.allclose(gaps, gaps[0], rtol=1e-9):
        return "Not computed: event times have gaps, or cohorts start at different distances from their last period"
    pre = []
    for e in times:
        group = [one for one in own if one[1] == e]
        values = np.array([one[2] for one in group]), np.column_stack([one[3] for one in group])
        pre.append(by_share(*values, np.array([one[0] for one in group]), shares, f"event_time={e:g}", e))
    return Aligned(tuple(pre), post)


def _relative(study: EventStudy, name: str, unit: float, seed: int) -> Honest:
    draws = relative.normal_draws(study, seed)
    largest = relative.breakdown(study, draws)
    series = f"relative_magnitudes: {name}"
    curves = []
    for bar in BARS:
        low, high = relative.interval(study, bar, draws)
        curves.append(CurvePoint(METHOD, series, bar, study.estimate * unit, "Mbar", low * unit, high * unit))
    what = f"the effect ({name})"
    if largest == 0:
        reading = f"Even without any difference of trends after treatment the interval of {what} holds zero"
    elif largest >= relative.LARGEST:
        reading = f"Differences of trends {largest:g} times as large as the largest before do not undo {what}"
    else:
        reading = (
            f"The sign of {what} stands unless trends differ after treatment, from one period to the next, by more "
            f"than {largest:.2f} times the largest such difference before it"
        )
    return Honest((SensitivityRow(METHOD, series, largest, reading),), tuple(curves))


def _smooth(study: EventStudy, name: str, unit: float) -> Honest:
    series = f"smoothness: {name}"
    values = np.linalg.eigvalsh(study.vcov)
    if values[0] <= _RANK * values[-1]:
        reading = "Not computed: there are fewer units (clusters) than coefficients, or some do not vary"
        return Honest((SensitivityRow(METHOD, series, None, reading),))
    path = smooth.frontier(study)
    largest = smooth.breakdown(path) * unit
    curves = []
    for bend in BENDS:
        estimate, low, high = smooth.interval(path, bend)
        curves.append(CurvePoint(METHOD, series, bend * unit, estimate * unit, "M", low * unit, high * unit))
    if largest == 0:
        reading = f"Taking out a linear difference of trends, the interval of the effect ({name}) holds zero"
    else:
        reading = (
            f"The sign of the effect ({name}) stands unless the difference of trends bends by more than {largest:.3g} "
            "units of the outcome from one period to the next"
        )
    return Honest((SensitivityRow(METHOD, series, largest, reading),), tuple(curves))
