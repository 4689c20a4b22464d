"""Group-time effects given covariates: `panel.two_period.effect` of every comparison, in a few passes of the units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import Refusal
from ..newton import separated
from ..nuisance import inverse_link, likelihood_slopes, link_slope
from ..panel.att_gt import Comparison
from ..panel.two_period import HIGHEST_PROPENSITY
from ..scan.solve import least_squares
from .panel_bases import Base, First, bases_of, changed
from .panel_logits import Logits, fit_logits
from .panel_paths import Factors, OpenCluster
from .panel_rows import PanelRows, Units, units_of


@dataclass(frozen=True)
class Regressions:
    """The controls' regressions of one base period's comparisons.

    Attributes
    ----------
    beta : ndarray of shape (K, k + 1)
        On (1, z), in units of the outcome; zero for a dropped column.
    inverse : ndarray of shape (K, k + 1, k + 1)
        (Z'Z)⁻¹ over the controls.
    """

    beta: np.ndarray
    inverse: np.ndarray


@dataclass(frozen=True)
class Adjusted:
    """Effects of one base period's comparisons, and the linear forms of z in their influence values.

    Attributes
    ----------
    base : Base
    regressions : Regressions or None
        None for ``ipw``.
    logits : Logits or None
        None for ``reg``.
    treated, controls : ndarray of shape (K,)
        Means of what the regression leaves of ΔY: of the treated, and of the controls weighted by the odds.
    odds : ndarray of shape (K,)
        Σ of the controls' odds; 1 for ``reg``.
    v, u : ndarray of shape (K, k + 1)
        What the propensity's and the regression's estimation adds: H⁻¹ Σ tilt, and (Z'Z)⁻¹ drift.
    n_trimmed : ndarray of shape (K,), int
    """

    base: Base
    regressions: Regressions | None
    logits: Logits | None
    treated: np.ndarray
    controls: np.ndarray
    odds: np.ndarray
    v: np.ndarray
    u: np.ndarray
    n_trimmed: np.ndarray


def adjusted_effects(
    rows: PanelRows, first: First, found: Sequence[Comparison], names: tuple[str, ...], method: str, link: str,
    factors: Factors | None = None,
    by_cohort: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """ATT(g, t) by ``reg``, ``ipw`` or ``dr``, and the products of all influence values.

    Passes: ``reg`` two (its regressions follow from the first pass), ``ipw`` and ``dr`` two more than the propensities,
    whose models are fitted together. The formulas are those of `panel.two_period`.

    Returns
    -------
    ndarray of shape (K,), ndarray of shape (K,), ndarray of shape (b, b)
        Effects, controls left out for a propensity of 0.995 or more, and `Influence.products`.

    Raises
    ------
    Refusal
        Naming the first comparison whose covariates separate the groups, whose regression has too few controls, or
        none of whose controls keeps weight.
    """
    bases = bases_of(found, rows, first, names)
    logits = fit_logits(rows, bases, first.sample, link) if method != "reg" else None
    fits = _regressions(bases, logits, found, rows, method)
    parts = _sums(rows, bases, fits, logits, found, link)
    att, trimmed = np.empty(len(found)), np.empty(len(found), dtype=np.int64)
    for part in parts:
        att[part.base.cells], trimmed[part.base.cells] = part.treated - part.controls, part.n_trimmed
    return att, trimmed, _products(rows, parts, first.counted.sizes, found, link, factors, by_cohort)


def _regressions(
    bases: Sequence[Base], logits: Sequence[Logits] | None, found: Sequence[Comparison], rows: PanelRows, method: str
) -> list[Regressions] | None:
    """The controls' regressions, None for ``ipw``; in the order of comparisons, so that the first failure is told."""
    size = (len(bases[0].names) + 1) if bases else 1
    fits = [Regressions(np.zeros((len(b.cells), size)), np.zeros((len(b.cells), size, size))) for b in bases]
    places = {int(cell): (i, j) for i, base in enumerate(bases) for j, cell in enumerate(base.cells)}
    for k, one in enumerate(found):
        i, j = places[k]
        if logits is not None and logits[i].failed[logits[i].model[j]]:
            raise one.refuse(separated(bases[i].names, logits[i].beta[logits[i].model[j]]))
        if method != "ipw":
            _regress(bases[i], fits[i], j, one)
    return None if method == "ipw" else fits


def _regress(base: Base, fits: Regressions, j: int, one: Comparison) -> None:
    own = base.moments.only(*np.flatnonzero(base.controls[j]))
    target = changed(one.at)
    try:
        fit = least_squares(own, target, base.names)
    except ValueError as few:
        refusal = Refusal(f"the controls' regression cannot be fitted: {few}", "Use fewer covariates")
        raise one.refuse(refusal) from None
    y = own.names.index(target)
    fits.beta[j, fit.at] = own.scale[y] * fit.beta
    fits.beta[j, 0] += own.shift[y]
    fits.inverse[j][np.ix_(fit.at, fit.at)] = fit.inverse


@dataclass(frozen=True)
class _Units:
    """What a block's units are to the comparisons of a base period: shapes (K, m), z of shape (k + 1, m).

    ``left`` is ΔY less what the regression predicts; ``odds`` and their ``slope`` in the index, and the likelihood's
    slope ``score``, are None for ``reg``.
    """

    z: np.ndarray
    treated: np.ndarray
    controls: np.ndarray
    left: np.ndarray
    odds: np.ndarray | None = None
    slope: np.ndarray | None = None
    score: np.ndarray | None = None
    high: np.ndarray | None = None
    curvature: np.ndarray | None = None


def _seen(base: Base, fits: Regressions | None, logits: Logits | None, units: Units, link: str) -> _Units:
    z, left = base.z(units), base.change(units)
    if fits is not None:
        left -= fits.beta @ z
    treated, controls = base.treated[:, units.code], base.controls[:, units.code]
    if logits is None:
        return _Units(z, treated, controls, left)
    eta = logits.beta @ z
    # Every pair of a cohort and its controls has one model, and several comparisons may share it.
    t, among, of = logits.treated[:, units.code], logits.among[:, units.code], logits.model
    p, (score, curvature) = inverse_link(eta, link), likelihood_slopes(t, eta, link)
    high = (p >= HIGHEST_PROPENSITY)[of] & controls
    used = controls & ~high
    room = np.where(used, (1.0 - p)[of], 1.0)
    odds = np.where(used, p[of] / room, 0.0)
    slope = np.where(used, link_slope(eta, link)[of] / room**2, 0.0)
    score, curvature = np.where(among, score, 0.0), np.where(among, curvature, 0.0)
    return _Units(z, treated, controls, left, odds, slope, score[of], high, curvature)


@dataclass
class _Sums:
    """Sums over units: of the treated (Σ left, Σ z), of the odds (Σ odds, Σ odds left, Σ odds z), of their slopes
    (Σ slope left z, Σ slope z), the models' information, and how many controls are left out."""

    left: np.ndarray
    z: np.ndarray
    odds: np.ndarray
    odds_left: np.ndarray
    odds_z: np.ndarray
    slope_left: np.ndarray
    slope: np.ndarray
    information: np.ndarray
    high: np.ndarray

    @classmethod
    def zero(cls, base: Base, logits: Logits | None) -> _Sums:
        k, p = len(base.cells), len(base.names) + 1
        models = 0 if logits is None else len(logits.beta)
        return cls(
            np.zeros(k), np.zeros((k, p)), np.zeros(k), np.zeros(k), np.zeros((k, p)), np.zeros((k, p)),
            np.zeros((k, p)), np.zeros((models, p, p)), np.zeros(k, dtype=np.int64),
        )  # fmt: skip

    def add(self, seen: _Units, logits: Logits | None) -> None:
        self.left += np.where(seen.treated, seen.left, 0.0).sum(axis=1)
        self.z += seen.treated @ seen.z.T
        if logits is None:
            return
        assert seen.odds is not None
        assert seen.slope is not None
        assert seen.high is not None
        assert seen.curvature is not None
        self.odds += seen.odds.sum(axis=1)
        self.odds_left += (seen.odds * seen.left).sum(axis=1)
        self.odds_z += seen.odds @ seen.z.T
        self.slope_left += (seen.slope * seen.left) @ seen.z.T
        self.slope += seen.slope @ seen.z.T
        self.information += logits.information(seen.z, seen.curvature)
        self.high += seen.high.sum(axis=1)


def _sums(
    rows: PanelRows, bases: Sequence[Base], fits: Sequence[Regressions] | None, logits: Sequence[Logits] | None,
    found: Sequence[Comparison], link: str,
) -> list[Adjusted]:  # fmt: skip
    """One pass to the effects and to what their influence values need."""
    own = [(b, None if fits is None else fits[i], None if logits is None else logits[i]) for i, b in enumerate(bases)]
    sums = [_Sums.zero(base, models) for base, _, models in own]
    for units in units_of(rows):
        if len(units.code):
            for (base, fit, models), total in zip(own, sums, strict=True):
                total.add(_seen(base, fit, models, units, link), models)
    if logits is not None:
        _check_odds(bases, sums, found)
    return [_solved(*one, total, found) for one, total in zip(own, sums, strict=True)]


def _check_odds(bases: Sequence[Base], sums: Sequence[_Sums], found: Sequence[Comparison]) -> None:
    none = [int(k) for base, total in zip(bases, sums, strict=True) for k in base.cells[total.odds == 0]]
    if none:
        reason = f"every control has a propensity of {HIGHEST_PROPENSITY} or more"
        raise found[min(none)].refuse(Refusal(reason, "Use fewer covariates"))


def _solved(
    base: Base, fits: Regressions | None, logits: Logits | None, sums: _Sums, found: Sequence[Comparison]
) -> Adjusted:
    n_treated = np.array([found[k].n_treated for k in base.cells])
    treated, mean_z = sums.left / n_treated, sums.z / n_treated[:, None]
    v, u = np.zeros(sums.z.shape), np.zeros(sums.z.shape)
    controls, odds = np.zeros(len(treated)), np.ones(len(treated))
    if logits is not None:
        controls, odds = sums.odds_left / sums.odds, sums.odds
        mean_z = mean_z - sums.odds_z / odds[:, None]
        tilt = sums.slope_left - controls[:, None] * sums.slope
        for j, model in enumerate(logits.model):
            kept = logits.kept[model]
            v[j, kept] = np.linalg.solve(sums.information[model][np.ix_(kept, kept)], tilt[j, kept])
    if fits is not None:
        u = np.einsum("kij,kj->ki", fits.inverse, mean_z)
    return Adjusted(base, fits, logits, treated, controls, odds, v, u, sums.high)


def _products(
    rows: PanelRows, parts: Sequence[Adjusted], sizes: Mapping[float, int], found: Sequence[Comparison], link: str,
    factors: Factors | None, by_cohort: np.ndarray | None,
) -> np.ndarray:  # fmt: skip
    """One pass to Σ ψ ψ' of all effects and of the cohorts' indicators, summed by cluster where one is declared."""
    n = sum(sizes.values())
    present = np.searchsorted(rows.cohorts, list(sizes))
    share = np.array(list(sizes.values())) / n
    products = np.zeros((len(found) + len(present),) * 2)
    seen, open_cluster = 0, OpenCluster()
    for units in units_of(rows):
        if not len(units.code):
            continue
        seen += len(units.code)
        psi = np.zeros((len(units.code), len(products)))
        for part in parts:
            psi[:, part.base.cells] = n * _influence(part, units, found, link).T
        psi[:, len(found) :] = (units.code[:, None] == present) - share
        if by_cohort is not None:
            psi *= by_cohort[units.code][:, None]
        if units.cluster is not None:
            cohorts = units.code[:, None] == np.arange(len(rows.cohorts))
            psi = _factored(open_cluster.add(units.cluster, np.column_stack([psi, cohorts])), products, factors)
        products += psi.T @ psi
    if seen != n:
        raise RuntimeError(f"a pass of the rows saw {seen} units, and the first one {n}")
    rest = open_cluster.rest()
    if not len(rest):
        return products
    last = _factored(rest, products, factors)
    return products + last.T @ last


def _factored(sums: np.ndarray, products: np.ndarray, factors: Factors | None) -> np.ndarray:
    """Sums a cluster times the cluster's factor; behind them stand its numbers of units in each cohort."""
    own, units = sums[:, : len(products)], sums[:, len(products) :]
    return own if factors is None else own * factors(units)[:, None]


def _influence(part: Adjusted, units: Units, found: Sequence[Comparison], link: str) -> np.ndarray:
    """ψ / n of the units, as `panel.two_period.effect` has it for units of both sides: shape (K, m)."""
    own = _seen(part.base, part.regressions, part.logits, units, link)
    n_treated = np.array([found[k].n_treated for k in part.base.cells])
    psi = np.where(own.treated, own.left - part.treated[:, None], 0.0) / n_treated[:, None]
    if own.odds is not None and own.score is not None:
        weighted = own.odds * (own.left - part.controls[:, None]) + own.score * (part.v @ own.z)
        psi -= weighted / part.odds[:, None]
    if part.regressions is not None:
        psi -= np.where(own.controls, own.left, 0.0) * (part.u @ own.z)
    return psi
