"""Transportability: the effect that a study's treatment would have in a target population."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import clusters
from ..balance import balance_diagnostics
from ..errors import Refusal
from ..estimates import made
from ..inference import effective_sample_size, standard_error
from ..linear import LinearFit, fit_ols
from ..nuisance import BinaryFit, fit_binary
from ..problem import Problem
from ..result import Diagnostic, Result
from ..terms import Matrix
from ..weight_support import MOST_IMBALANCE, MOST_OUTSIDE, Behind, unsupported
from .weights import Tilt, entropy_tilt, inverse_odds

LEAST_ARM = 5
MEND = "Narrow the target to people like those of the study, or adjust for fewer covariates"
METHODS = ("augmented", "iosw", "g_transport", "entropy")


@dataclass(frozen=True)
class Arms:
    """What is fitted in the study: each arm's outcome regression, and the chance of treatment where it is modelled.

    Attributes
    ----------
    s, t, y, w : ndarray of shape (n,)
        Study (1) or target (0); treatment and outcome (0 in the target, where they are not read); sampling weights.
    x : Matrix of shape (n, k)
    fits : tuple of LinearFit
        Of the untreated and of the treated, on rows of the arm.
    chance : BinaryFit or None
        Of treatment among the study's units; None where treatment was drawn at random.
    """

    s: np.ndarray
    t: np.ndarray
    y: np.ndarray
    w: np.ndarray
    x: Matrix
    fits: tuple[LinearFit, LinearFit]
    chance: BinaryFit | None

    @property
    def n(self) -> int:
        """Units of both populations."""
        return len(self.s)

    def inside(self, arm: int) -> np.ndarray:
        """The study's units of an arm: shape (n,), boolean."""
        return (self.s == 1) & (self.t == arm)

    def design(self, arm: int) -> np.ndarray:
        """The constant and the columns that an arm's regression kept, of all units: shape (n, k)."""
        kept = [self.x.names.index(name) for name in self.fits[arm].names[1:]]
        return np.column_stack([np.ones(self.n), self.x.values[:, kept]])

    def coefficients(self, arm: int) -> np.ndarray:
        """Influence values of an arm's regression coefficients: shape (n, k)."""
        out = np.zeros((self.n, len(self.fits[arm].coef)))
        rows = self.inside(arm)
        out[rows] = self.fits[arm].influence() * self.n / rows.sum()
        return out

    def inverse_chance(self, arm: int) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """1 / P(T = arm | X), its derivative in the model's coefficients and their influence values, of study units."""
        if self.chance is None:
            return None
        study = self.s == 1
        chance = self.chance.probability if arm else 1 - self.chance.probability
        value, slope = np.ones(self.n), np.zeros((self.n, len(self.chance.coef)))
        value[study] = 1 / chance
        sign = 1.0 if arm else -1.0
        slope[study] = -sign * self.chance.design * (self.chance.slope() / chance**2)[:, None]
        influence = np.zeros(slope.shape)
        influence[study] = self.chance.influence(self.t[study], self.w[study]) * self.n / study.sum()
        return value, slope, influence


@dataclass(frozen=True)
class Carried:
    """An effect in the target and its influence values of shape (n,)."""

    estimate: float
    psi: np.ndarray


def transportability(problem: Problem, estimand: str) -> Result:
    """The average effect in the target population (``sample`` 0), from the treatment and outcomes of the study.

    With μ_a(X) = E[Y | X, T = a, S = 1] and ω(X) = P(S = 0 | X) / P(S = 1 | X):

    - ``method=g_transport``: mean over the target of μ₁(X) − μ₀(X), least squares in each arm;
    - ``method=iosw``: difference of the arms' means weighted by ω (Hájek);
    - ``method=augmented``, which is ``overall``: g-transport plus the difference of the arms' ω-weighted mean residuals
      (right if the sample model or the outcome models are);
    - ``method=entropy``: as iosw, with weights under which the study's covariate means are the target's;
    - ``population=study``: the difference of the study's own arms, for comparison.

    In a design other than an experiment ω is divided by the chance of the unit's arm (a logit in the study).

    Standard errors come from influence values that count the estimation of every model and of the target's means. They
    are summed by a declared cluster. Sampling weights enter the models and the means of both populations. Units of the
    target need no treatment or outcome; other rows with missing values have been left out or refused before.

    Diagnostics: ``covariate_shift`` (standardised difference of target and study, in the study's standard deviations)
    and ``covariate_shift_weighted`` (after iosw, held against 0.1), ``effective_sample_size`` and ``max_weight`` (share
    of the sum) by arm, ``share_outside_support``: target units that look less like the study than 99 of 100 in it.

    Every row but ``population=study`` is refused, with its diagnostics told, where an arm has too few effective units
    or one with too much of the weight, a weighted difference exceeds 0.25, or over a fifth of the target lies outside
    the support (`estimators.weight_support`).

    Raises
    ------
    Refusal
        If an arm of the study has fewer than five units, the covariates tell the populations apart, or rows do not
        suffice for the columns.

    Sources
    -------
    Pearl & Bareinboim 2014; Westreich et al. 2017; Dahabreh et al. 2020.
    """
    clusters.check(problem)
    arms = _arms(problem)
    odds = inverse_odds(arms.s, arms.x, problem.weights)
    ways: dict[str, Callable[[], Carried]] = {
        "augmented": lambda: augmented(arms, odds), "iosw": lambda: weighted(arms, odds),
        "g_transport": lambda: g_transport(arms),
        "entropy": lambda: weighted(arms, entropy_tilt(arms.s, arms.x, problem.weights)),
    }  # fmt: skip
    fields: dict[str, Any] = {
        "n_units": int((arms.s == 1).sum()), "n_treated": int(arms.inside(1).sum()), "n_clusters": problem.n_clusters,
        "effective_sample_size": effective_sample_size(odds.omega * arms.w),
        "variance_estimator": "influence_function" if problem.cluster is None else "cluster",
    }  # fmt: skip
    rows, df = [], problem.reference_df()
    for method in METHODS:
        found = _or_none(ways[method]) if method == "entropy" else ways[method]()
        if found is not None:
            error = standard_error(found.psi, problem.clustering())
            rows.append(made(estimand, found.estimate, error, df, term=f"method={method}", **fields))
    own = weighted(arms, Tilt((arms.s == 1).astype(float), np.zeros((arms.n, 0)), np.zeros((arms.n, 0))))
    rows.append(
        made(
            estimand, own.estimate, standard_error(own.psi, problem.clustering()), df, term="population=study", **fields
        )
    )
    first = rows[0]
    assert first.estimate is not None
    assert first.std_error is not None
    overall = made(estimand, first.estimate, first.std_error, df, **fields)
    told = _diagnostics(arms, odds)
    return Result(unsupported((overall, *rows), _reasons(arms, odds, told), MEND, ("population=study",)), told)


def _or_none(way: Callable[[], Carried]) -> Carried | None:
    """Entropy balancing may have no solution where the others stand: its row is then left out."""
    try:
        return way()
    except Refusal:
        return None


def _arms(problem: Problem) -> Arms:
    study = problem.study
    assert study.sample is not None
    s = (problem.columns[study.sample] == 1).astype(float)
    inside = s == 1
    t, y = (np.where(inside, values, 0.0) for values in (problem.t, problem.y))
    for arm, label in ((1, "treated"), (0, "untreated")):
        count = int((inside & (t == arm)).sum())
        if count < LEAST_ARM:
            raise Refusal(f"the study has {count} {label} units and {LEAST_ARM} are needed", "Widen the study")
    x = problem.matrix(problem.covariate_terms())
    fits = tuple(_fit_arm(problem, x, inside & (t == arm), y) for arm in (0, 1))
    chance = None
    if study.design != "experiment":
        own = problem.matrix(problem.options.propensity.covariates)
        chance = fit_binary(
            t[inside], own.values[inside], own.names, problem.options.propensity.link, problem.w[inside]
        )
    return Arms(s, t, y, problem.w, x, (fits[0], fits[1]), chance)


def _fit_arm(problem: Problem, x: Matrix, rows: np.ndarray, y: np.ndarray) -> LinearFit:
    try:
        return fit_ols(y[rows], x.values[rows], x.names, problem.w[rows])
    except ValueError as few:
        raise Refusal(f"the outcome regression cannot be fitted: {few}", "Use fewer covariates") from None


def weighted(arms: Arms, tilt: Tilt) -> Carried:
    """Difference of the arms' weighted means."""
    return _difference(arms, tilt, (arms.y, arms.y))


def g_transport(arms: Arms) -> Carried:
    """Mean over the target of the difference of the arms' predictions."""
    share = np.where(arms.s == 0, arms.w, 0.0)
    share = share / share.sum()
    gap, psi = np.zeros(arms.n), np.zeros(arms.n)
    for arm, sign in ((1, 1.0), (0, -1.0)):
        design = arms.design(arm)
        gap += sign * (design @ arms.fits[arm].coef)
        psi += sign * (arms.coefficients(arm) @ (share @ design))
    estimate = float(share @ gap)
    return Carried(estimate, psi + share * arms.n * (gap - estimate))


def augmented(arms: Arms, tilt: Tilt) -> Carried:
    """g-transport, corrected by the weighted mean residuals of each arm."""
    base = g_transport(arms)
    left = tuple(arms.y - arms.design(arm) @ arms.fits[arm].coef for arm in (0, 1))
    correction = _difference(arms, tilt, (left[0], left[1]))
    psi = base.psi + correction.psi
    for arm, sign in ((1, 1.0), (0, -1.0)):
        # The residuals move with the regression's coefficients.
        psi -= sign * (arms.coefficients(arm) @ (_share(arms, tilt, arm) @ arms.design(arm)))
    return Carried(base.estimate + correction.estimate, psi)


def _share(arms: Arms, tilt: Tilt, arm: int) -> np.ndarray:
    """Weight of each unit in its arm's mean: shape (n,), zero outside the arm."""
    omega = np.where(arms.inside(arm), tilt.omega * arms.w, 0.0)
    chance = arms.inverse_chance(arm)
    omega = omega if chance is None else omega * chance[0]
    if not np.isfinite(omega).all() or omega.sum() <= 0:
        raise Refusal("the weights of the study's units overflow", "Narrow the target population", "not_identified")
    return omega / omega.sum()


def _difference(arms: Arms, tilt: Tilt, values: tuple[np.ndarray, np.ndarray]) -> Carried:
    """Weighted mean of one value in the treated less that of another in the untreated."""
    estimate, psi = 0.0, np.zeros(arms.n)
    for arm, sign in ((1, 1.0), (0, -1.0)):
        share = _share(arms, tilt, arm)
        mean = float(share @ values[arm])
        left = values[arm] - mean
        estimate += sign * mean
        psi += sign * share * left * arms.n
        relative = np.divide(
            tilt.slope, tilt.omega[:, None], out=np.zeros(tilt.slope.shape), where=tilt.omega[:, None] > 0
        )
        psi += sign * (tilt.influence @ ((share * left) @ relative))
        chance = arms.inverse_chance(arm)
        if chance is not None:
            value, slope, influence = chance
            psi += sign * (influence @ ((share * left / value) @ slope))
    return Carried(estimate, psi)


def _diagnostics(arms: Arms, odds: Tilt) -> tuple[Diagnostic, ...]:
    target, study = np.where(arms.s == 0, arms.w, 0.0), np.where(arms.s == 1, arms.w, 0.0)
    raw, after = _shift(arms, target, study), _shift(arms, target, study * odds.omega)
    rows = [Diagnostic("covariate_shift", name, float(v)) for name, v in zip(arms.x.names, raw, strict=True)]
    rows += balance_diagnostics("covariate_shift_weighted", arms.x.names, after)
    for arm, subject in ((1, "treated"), (0, "control")):
        rows += Behind.of(subject, _share(arms, odds, arm)).diagnostics()
    # The odds are monotone in how little a person looks like the study; those of the target come from the same index.
    fit = fit_binary(arms.s, arms.x.values, arms.x.names, "logit", arms.w)
    bound = np.quantile(fit.eta[arms.s == 1], 0.01)
    outside = float(np.average(fit.eta[arms.s == 0] < bound, weights=arms.w[arms.s == 0]))
    rows.append(Diagnostic("share_outside_support", "target", outside, MOST_OUTSIDE, outside <= MOST_OUTSIDE))
    return tuple(rows)


def _reasons(arms: Arms, odds: Tilt, told: tuple[Diagnostic, ...]) -> list[str]:
    """Why the study cannot speak for the target; empty where it can."""
    out = [Behind.of(name, _share(arms, odds, arm)).failing() for arm, name in ((1, "treated"), (0, "control"))]
    shift = [d for d in told if d.metric == "covariate_shift_weighted"]
    apart = {d.subject: np.inf if d.value is None else abs(d.value) for d in shift}
    worst = max(apart, key=lambda name: apart[name], default=None)
    if worst is not None and not apart[worst] <= MOST_IMBALANCE:
        size = f"{apart[worst]:.2f} standard deviations" if np.isfinite(apart[worst]) else "more than weights can mend"
        count = sum(not value <= MOST_IMBALANCE for value in apart.values())
        out.append(f"after weighting '{worst}' still differs by {size} ({count} of {len(apart)} by more than 0.25)")
    (outside,) = (d.value for d in told if d.metric == "share_outside_support")
    if outside is None or not outside <= MOST_OUTSIDE:
        out.append(f"{outside:.0%} of the target look less like the study than 99 of 100 in it")
    return [reason for reason in out if reason]


def _shift(arms: Arms, target: np.ndarray, study: np.ndarray) -> np.ndarray:
    """Target mean less study mean, in the study's standard deviations: shape (k,); 0 for a column constant in both."""
    x = arms.x.values
    gap = target @ x / target.sum() - study @ x / study.sum()
    spread = x[arms.s == 1].std(axis=0, ddof=1)
    flat = spread <= 1e-12 * np.maximum(np.abs(x).max(axis=0), 1e-300)
    return np.where(
        flat, np.where(np.abs(gap) <= 1e-12, 0.0, np.copysign(np.inf, gap)), gap / np.where(flat, 1, spread)
    )
