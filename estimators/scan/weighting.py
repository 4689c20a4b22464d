"""One last scan: scores of each unit, and every sum that IPW and doubly robust estimates and their variances need."""

from __future__ import annotations

import collections
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import Refusal
from ..moments import Moments
from ..selection_on_observables.ipw import balancing_weights, weight_slopes
from .frame import Frame
from .logistic import Logit, probabilities
from .solve import least_squares
from .strata import Strata, Stratified, stratified
from .stream import Block, Column, Plan, Source, blocks
from .writer import Rows, Table

ESTIMANDS = ("ATE", "ATT", "ATO")


@dataclass(frozen=True)
class Nuisances:
    """Linear indices of a row on (1, z) of the covariates: shapes (models, p + 1).

    ``index`` has the logit of all rows first and then those outside each fold (the same again without folds); ``mu0``
    and ``mu1`` have the outcome's regression outside each fold in one arm, in units of (y − shift) / scale; ``share``
    is the (weighted) share of the treated.
    """

    index: np.ndarray
    mu0: np.ndarray
    mu1: np.ndarray
    share: float

    @classmethod
    def of(cls, logit: Logit, arms: tuple[Moments, Moments], y: str, x: Sequence[str]) -> Nuisances:
        """From a fitted logit and the moments of each arm by fold; columns that either drops have coefficient zero."""
        index = np.zeros((len(logit.beta), len(x) + 1))
        index[:, [0, *(1 + list(x).index(name) for name in logit.names[1:])]] = logit.beta
        folds = len(arms[0].cross)
        index = index if folds > 1 else np.vstack([index[:1], index[:1]])
        weight = [float(arm.total()[0, 0]) for arm in arms]
        return cls(index, _outcome(arms[0], y, x), _outcome(arms[1], y, x), weight[1] / sum(weight))


def _outcome(arm: Moments, y: str, x: Sequence[str]) -> np.ndarray:
    out = np.zeros((len(arm.cross), len(x) + 1))
    for k in range(len(arm.cross)):
        try:
            fit = least_squares(arm.without(k) if len(arm.cross) > 1 else arm, y, x)
        except ValueError as few:
            raise Refusal(f"the outcome regression cannot be fitted: {few}", "Use fewer covariates or folds") from None
        out[k, [0, *(1 + list(x).index(name) for name in fit.names)]] = fit.beta
    return out


@dataclass(frozen=True)
class Effect:
    """An estimate of one estimand; the effective sample sizes are overall, of the treated and of the controls."""

    estimate: float
    std_error: float
    effective_sample_sizes: tuple[float, float, float] | None
    max_weights: tuple[float, float, float] | None


@dataclass(frozen=True)
class Weighted:
    """What the scan gave, by estimand: Hájek IPW with the stacked variance, AIPW and stratification; and counts."""

    ipw: dict[str, Effect]
    aipw: dict[str, Effect]
    stratification: dict[str, Stratified]
    n: int
    n_treated: int
    n_trimmed: int
    propensity_range: tuple[float, float]


@dataclass
class _Sums:
    """All influence values are linear in 16 + k numbers of a row; their products and sums are enough.

    The numbers: for each estimand ω T, ω T y, ω (1 − T), ω (1 − T) y; then w, w T, w s of the ATE and of the ATT;
    then the logit's score.
    """

    products: np.ndarray
    totals: np.ndarray
    slopes: np.ndarray
    information: np.ndarray
    clusters: np.ndarray | None
    largest: np.ndarray
    strata: dict[str, np.ndarray]
    n: int = 0
    treated: int = 0
    trimmed: int = 0
    low: float = 1.0
    high: float = 0.0


def weigh(
    source: Source, y: Column, t: Column, plan: Plan, moments: Moments, nuisances: Nuisances, *,
    trim: float = 0.0, clip: float = 0.0, strata: dict[str, Strata] | None = None,
    clusters: np.ndarray | None = None, table: Table | None = None,
) -> Weighted:  # fmt: skip
    """IPW (Hájek; ATE, ATT, ATO) with the stacked variance, cross-fitted AIPW (ATE, ATT), and stratification.

    As `ipw` with ``variance: stacked``, `ope` and `stratification`, whose docstrings have the formulas. An
    influence value depends on totals that are known only at the end of the scan, but is linear in 16 + k numbers of the
    row, so their cross-products (sums a cluster, with ``clusters``) give its variance without another scan.

    Parameters
    ----------
    plan : Plan
        Covariates, weight, the fold as group, cluster, and the unit (``carry``) where a table is written.
    moments : Moments
        With y and the covariates: their shift and scale.
    trim, clip : float
        IPW leaves out propensities outside [trim, 1 − trim]; AIPW holds the cross-fitted ones inside [clip, 1 − clip].
    strata : dict of ATE and ATT, optional
        See `strata.Watch`. Sampling weights and clusters are not for stratification: its numbers ignore both.
    table : Table, optional
        Gets the scores of each unit, named by the first of ``plan.carry``.

    Raises
    ------
    Refusal
        If a propensity is 0 or 1 to the last digit where it is divided by.
    """
    own = Plan((*plan.columns, y, t), plan.weight, plan.group, plan.n_groups, plan.cluster, plan.carry)
    strata = strata or {}
    frame = Frame.like(moments, own.names[:-1], own.rows())
    p = len(plan.columns)
    kept = np.flatnonzero(np.any(nuisances.index != 0, axis=0))
    size = 16 + len(kept)
    sums = _Sums(
        np.zeros((size, size)), np.zeros(size), np.zeros((12, len(kept))), np.zeros((len(kept), len(kept))),
        None if clusters is None else np.zeros((len(clusters), size)), np.zeros((3, 2)),
        {estimand: np.zeros((2, *each.units.shape)) for estimand, each in strata.items()},
    )  # fmt: skip
    forms = np.vstack([nuisances.index, nuisances.mu0, nuisances.mu1])

    def tables() -> Iterator[Rows]:
        for block in blocks(source, own):
            arm = block.columns.pop()
            z = frame.fill(block)
            scores = _scores(block, forms @ z[: p + 1], len(nuisances.index), len(nuisances.mu0))
            y_z = z[-1].copy()
            robust = _doubly_robust(y_z, arm, scores, clip)
            _add(sums, block, arm, z, kept, scores, robust, trim, clusters)
            place = {estimand: each.place(scores["propensity"]) for estimand, each in strata.items()}
            for estimand, at in place.items():
                _add_strata(sums.strata[estimand], at, arm, y_z)
            if table is not None:
                yield block.carried, _columns(block, arm, scores, robust, strata, place, frame, nuisances.share)

    if table is not None:
        table.write(tables())
    else:
        collections.deque(tables(), maxlen=0)
    return _finish(sums, float(frame.scale[-1]), strata)


def _scores(block: Block, linear: np.ndarray, models: int, folds: int) -> dict[str, np.ndarray]:
    rows = np.arange(block.n)
    own = np.zeros(block.n, dtype=np.intp) if block.group is None else block.group.astype(np.intp)
    return {
        "propensity": probabilities(linear[0]),
        "propensity_crossfit": probabilities(linear[1 + own, rows]),
        "mu0": linear[models + own, rows],
        "mu1": linear[models + folds + own, rows],
    }


def _add(
    sums: _Sums, block: Block, t: np.ndarray, z: np.ndarray, kept: np.ndarray, scores: dict[str, np.ndarray],
    robust: tuple[np.ndarray, np.ndarray], trim: float, clusters: np.ndarray | None,
) -> None:  # fmt: skip
    y, e, w = z[-1], scores["propensity"], block.weight
    inside = (e >= trim) & (e <= 1 - trim)
    numbers, slopes = np.empty((16 + len(kept), block.n)), np.empty((12, block.n))
    treated, control = t == 1, t == 0
    base = inside * (1.0 if w is None else w)
    for j, estimand in enumerate(ESTIMANDS):
        omega = balancing_weights(t, e, estimand) * base
        with np.errstate(invalid="ignore"):
            slope = weight_slopes(t, e, estimand) * (e * (1 - e)) * base
        for into, values in ((numbers, omega), (slopes, slope)):
            for a, arm in enumerate((treated, control)):
                np.multiply(values, arm, out=into[4 * j + 2 * a])
                np.multiply(into[4 * j + 2 * a], y, out=into[4 * j + 2 * a + 1])
        for a in range(2):
            sums.largest[j, a] = max(sums.largest[j, a], float(numbers[4 * j + 2 * a].max()))
    numbers[12], numbers[13], numbers[14], numbers[15] = 1.0, t, *robust
    own = z[kept]
    np.multiply(own, t - e, out=numbers[16:])
    if w is not None:
        numbers[12:] *= w
    product = numbers @ numbers.T
    if not np.isfinite(product).all():
        raise Refusal("a propensity is 0 or 1 to the last digit", "Trim and clip, or drop a covariate")
    sums.products += product
    sums.totals += numbers.sum(axis=1)
    sums.slopes += slopes @ own.T
    own *= np.sqrt(e * (1 - e) * (1.0 if w is None else w))
    sums.information += own @ own.T
    sums.n += block.n
    sums.treated += int(treated.sum())
    sums.trimmed += int(block.n - inside.sum())
    crossfit = scores["propensity_crossfit"]
    sums.low, sums.high = min(sums.low, float(crossfit.min())), max(sums.high, float(crossfit.max()))
    if clusters is not None:
        assert sums.clusters is not None
        assert block.cluster is not None
        np.add.at(sums.clusters, np.searchsorted(clusters, block.cluster), numbers.T)


def _doubly_robust(
    y: np.ndarray, t: np.ndarray, scores: dict[str, np.ndarray], clip: float
) -> tuple[np.ndarray, np.ndarray]:
    """Scores of the ATE and of the ATT, the latter before the division by P(T = 1)."""
    e = scores["propensity_crossfit"]
    e = np.clip(e, clip, 1 - clip) if clip else e
    mu0, mu1 = scores["mu0"], scores["mu1"]
    with np.errstate(divide="ignore", invalid="ignore"):
        ate = mu1 - mu0 + t * (y - mu1) / e - (1 - t) * (y - mu0) / (1 - e)
        return ate, (t - (1 - t) * e / (1 - e)) * (y - mu0)


def _add_strata(sums: np.ndarray, place: np.ndarray, t: np.ndarray, y: np.ndarray) -> None:
    code, shape = 2 * place + (t == 1), sums.shape[1:]
    for into, values in zip(sums, (y, y**2), strict=True):
        into += np.bincount(code, weights=values, minlength=into.size).reshape(shape)


def _columns(
    block: Block, t: np.ndarray, scores: dict[str, np.ndarray], robust: tuple[np.ndarray, np.ndarray],
    strata: dict[str, Strata], place: dict[str, np.ndarray], frame: Frame, share: float,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Columns of the scores table (`estimators.scores`, all but matching's weights) in raw units."""
    scale, shift = frame.scale[-1], frame.shift[-1]
    fold = np.zeros(block.n, dtype=np.int64) if block.group is None else block.group.astype(np.int64)
    e, arm = scores["propensity"], (t == 1).astype(np.intp)
    out = {
        "treatment": t.copy(), "fold": fold, "propensity": e, "propensity_crossfit": scores["propensity_crossfit"],
        "mu0": scores["mu0"] * scale + shift, "mu1": scores["mu1"] * scale + shift,
        "dr_score": robust[0] * scale, "dr_score_att": robust[1] * (scale / share),
    }  # fmt: skip
    out |= {f"weight_ipw_{estimand.lower()}": balancing_weights(t, e, estimand) for estimand in ESTIMANDS}
    for estimand, own in strata.items():
        out[f"weight_stratification_{estimand.lower()}"] = own.weights(estimand)[place[estimand], arm]
    if "ATE" in place:
        out["stratum"] = place["ATE"] + 1
    return out | {"in_support": (e >= 0.1) & (e <= 0.9)}


def _finish(sums: _Sums, scale: float, strata: dict[str, Strata]) -> Weighted:
    ipw = {estimand: _ipw(sums, j, scale) for j, estimand in enumerate(ESTIMANDS)}
    aipw = {estimand: _aipw(sums, estimand, scale) for estimand in ("ATE", "ATT")}
    by_strata = {}
    for estimand, own in strata.items():
        got = stratified(sums.strata[estimand], own, estimand)
        by_strata[estimand] = Stratified(got.estimate * scale, got.std_error * scale)
    return Weighted(ipw, aipw, by_strata, sums.n, sums.treated, sums.trimmed, (sums.low, sums.high))


def _std_error(sums: _Sums, c: np.ndarray, ddof: int) -> float:
    """Standard error of an estimate whose influence values are n c'a, a the numbers of a row."""
    if sums.clusters is not None:
        of_cluster = sums.clusters @ c
        groups = len(of_cluster)
        return float(np.sqrt(of_cluster @ of_cluster * groups / (groups - 1)))
    return float(np.sqrt(c @ sums.products @ c * sums.n / (sums.n - ddof)))


def _ipw(sums: _Sums, j: int, scale: float) -> Effect:
    estimate, c, gradient = 0.0, np.zeros(len(sums.totals)), np.zeros(sums.slopes.shape[1])
    sizes, largest = [], []
    for a, sign in enumerate((1.0, -1.0)):
        at = 4 * j + 2 * a
        total = sums.totals[at]
        if not total > 0:
            label = ("treated", "untreated")[a]
            raise Refusal(f"every {label} unit has weight zero", "Narrow the population to where both arms occur")
        mean = sums.totals[at + 1] / total
        estimate += sign * mean
        c[at], c[at + 1] = -sign * mean / total, sign / total
        gradient += sign * (sums.slopes[at + 1] - mean * sums.slopes[at]) / total
        sizes.append(total**2 / sums.products[at, at])
        largest.append(float(sums.largest[j, a]))
    c[16:] = np.linalg.solve(sums.information, gradient)
    treated, control = 4 * j, 4 * j + 2
    square = sums.products[treated, treated] + sums.products[control, control]
    whole = (sums.totals[treated] + sums.totals[control]) ** 2 / square
    return Effect(
        float(estimate * scale), _std_error(sums, c, 0) * scale, (float(whole), float(sizes[0]), float(sizes[1])),
        (max(largest), largest[0], largest[1]),
    )  # fmt: skip


def _aipw(sums: _Sums, estimand: str, scale: float) -> Effect:
    weight, treated, ate, att = sums.totals[12:16]
    c = np.zeros(len(sums.totals))
    at, total, base = (14, weight, 12) if estimand == "ATE" else (15, treated, 13)
    estimate = (ate if estimand == "ATE" else att) / total
    c[at], c[base] = 1.0 / total, -estimate / total
    return Effect(float(estimate * scale), _std_error(sums, c, 1) * scale, None, None)
