"""Three counterfactual systems: does the effect depend on how the outcome is modelled?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .. import clusters
from ..errors import Refusal
from ..estimates import made
from ..problem import Problem
from ..result import CurvePoint, Diagnostic, Result, SensitivityRow
from ..sample import check_arms, counts
from .systems import Forest, LeastSquares, degree_two, forest_arm, linear_arm, ridge_arm

Arm = LeastSquares | Forest
Systems = dict[str, tuple[Arm, Arm]]

LEAST_UNITS, LEAST_DRAWS = 10, 20
BINS, MIDDLE = 30, (0.005, 0.995)
CELLS_AT_ONCE = 400_000
HIGH, MODERATE = 0.05, 0.1


def counterfactual(problem: Problem, estimand: str) -> Result:
    """The average effect on all units by three systems of outcome regressions, and their mean.

    A system fits E[Y | X] in each arm and predicts both outcomes of every unit: τ_s = mean(μ₁(X) − μ₀(X)). Systems:
    ``linear`` (least squares), ``nonlinear`` (ridge on columns, squares and products; penalty by generalised
    cross-validation), ``learned`` (random forest; a unit of the arm itself is predicted out of bag). The term
    ``overall`` is the mean of the three.

    Standard errors are the standard deviation over draws of the Bayesian bootstrap (Rubin 1981): each unit, or each
    declared cluster, gets an exponential weight, so that no draw loses an arm or a category. All systems share the
    draws. The first two are fitted anew in each draw (the ridge's penalty kept); the forest moves to first order, its
    splits kept, by out-of-bag residuals (200 forests would take minutes). Normal reference. The bias that ridge and
    forest pay for smoothing is in no interval.

    Option ``bootstrap``: number of draws (20 or more). Sampling weights are not used (the registry refuses). Rows with
    missing values have been left out or refused before. Covariates: ``options.outcome.covariates``.

    Diagnostics: ``system_sd`` and ``system_range`` across the systems (n − 1 below; units of the outcome), ``r2`` of
    each system on units that it has not seen (leave-one-out by leverage; out of bag), ``ridge_penalty``. Curves:
    ``y0_distribution``, ``effect_distribution``. Sensitivity: ``counterfactual_agreement``, system_sd over the standard
    deviation of the outcome: high below 0.05, moderate below 0.1, else low.

    Raises
    ------
    Refusal
        If an arm has fewer than 10 units or no more than columns, there are no covariates, or too few draws.

    Sources
    -------
    Robins 1986 (g-formula); Hoerl & Kennard 1970; Breiman 2001; Rubin 1981.
    """
    check_arms(problem, least=LEAST_UNITS)
    clusters.check_draws(problem)
    # An outcome of mean 1e9 would cost the effects nine digits.
    centre = float(problem.y.mean())
    systems = fit_systems(problem, centre)
    predicted = {name: (arms[0].predict(), arms[1].predict()) for name, arms in systems.items()}
    effects = np.array([np.mean(mu1 - mu0) for mu0, mu1 in predicted.values()])
    draws = bootstrap(problem, systems)
    fields = counts(problem) | {
        "variance_estimator": "bootstrap" if problem.cluster is None else "cluster_bootstrap",
    }
    rows = [made(estimand, float(effects.mean()), _spread(draws.mean(axis=0)), **fields)]
    for i, name in enumerate(systems):
        rows.append(made(estimand, float(effects[i]), _spread(draws[i]), term=f"system={name}", **fields))
    return Result(
        tuple(rows), _diagnostics(problem, systems, effects), curves(predicted, centre),
        (_agreement(problem, effects),),
    )  # fmt: skip


def fit_systems(problem: Problem, centre: float = 0.0) -> Systems:
    """The three systems, each a regression of the untreated and one of the treated, of the outcome less ``centre``."""
    x = problem.matrix(problem.options.outcome.covariates)
    if not np.ptp(x.values, axis=0).any():
        raise Refusal("no covariate varies, so there is nothing to model", "Declare covariates")
    y, seed = problem.y - centre, problem.study.seed
    arms = (problem.t == 0, problem.t == 1)
    features = degree_two(x.values)
    try:
        linear = tuple(linear_arm(y, x.values, x.names, inside) for inside in arms)
    except ValueError as few:
        raise Refusal(f"the outcome regression cannot be fitted: {few}", "Use fewer covariates") from None
    return {
        "linear": (linear[0], linear[1]),
        "nonlinear": (ridge_arm(y, features, arms[0]), ridge_arm(y, features, arms[1])),
        "learned": (forest_arm(y, x.values, arms[0], seed), forest_arm(y, x.values, arms[1], seed + 1)),
    }


def bootstrap(problem: Problem, systems: Systems) -> np.ndarray:
    """Effects of the systems in each draw: shape (systems, draws)."""
    n_draws = problem.own("bootstrap")
    check_draws(n_draws)
    parts = [
        [arms[1].weighted_means(g) - arms[0].weighted_means(g) for arms in systems.values()]
        for g in _weights(problem, n_draws)
    ]
    return np.concatenate([np.array(part) for part in parts], axis=1)


def check_draws(n_draws: int) -> None:
    """Refuse fewer draws than give an interval."""
    if n_draws < LEAST_DRAWS:
        raise Refusal(f"{n_draws} bootstrap draws do not give an interval", f"Declare {LEAST_DRAWS} or more")


def _weights(problem: Problem, n_draws: int) -> Iterator[np.ndarray]:
    """Exponential weights of shape (n, some draws), a few draws at a time so that memory stays small."""
    rng = np.random.default_rng(problem.study.seed)
    codes = np.arange(problem.n)
    if problem.cluster is not None:
        codes = np.unique(problem.cluster.astype(str), return_inverse=True)[1]
    at_once = max(1, min(n_draws, CELLS_AT_ONCE // problem.n))
    for start in range(0, n_draws, at_once):
        # Draws are rows here, so that how many are taken at once does not change them.
        yield rng.standard_exponential((min(at_once, n_draws - start), codes.max() + 1)).T[codes]


def _spread(values: np.ndarray) -> float:
    return float(values.std(ddof=1))


def _diagnostics(problem: Problem, systems: Systems, effects: np.ndarray) -> tuple[Diagnostic, ...]:
    rows = spread_rows(effects)
    y = problem.y - problem.y.mean()
    total = sum(float(np.sum((y[problem.t == a] - y[problem.t == a].mean()) ** 2)) for a in (0, 1))
    for name, arms in systems.items():
        left = sum(float(np.sum(arm.left_out() ** 2)) for arm in arms)
        rows.append(Diagnostic("r2", name, 1 - left / total if total > 0 else None))
    for subject, arm in zip(("control", "treated"), systems["nonlinear"], strict=True):
        if isinstance(arm, LeastSquares):
            rows.append(Diagnostic("ridge_penalty", subject, float(arm.penalty[-1])))
    return tuple(rows)


def spread_rows(effects: np.ndarray) -> list[Diagnostic]:
    """How far the systems' effects are apart."""
    return [
        Diagnostic("system_sd", "overall", _spread(effects)),
        Diagnostic("system_range", "overall", float(np.ptp(effects))),
    ]


def _agreement(problem: Problem, effects: np.ndarray) -> SensitivityRow:
    return agreement(effects, _spread(problem.y))


def agreement(effects: np.ndarray, outcome_sd: float) -> SensitivityRow:
    """The spread of the systems' effects relative to the outcome's, with its reading."""
    if not outcome_sd > 0:
        told = "agreement is not told: the outcome does not vary, so nothing is there to hold the spread against"
        return SensitivityRow("counterfactual_agreement", "overall", None, told)
    relative = _spread(effects) / outcome_sd
    word = "high" if relative < HIGH else "moderate" if relative < MODERATE else "low"
    reading = f"{word} agreement: the three systems differ by {relative:.3f} of the outcome's standard deviation"
    return SensitivityRow("counterfactual_agreement", "overall", relative, reading)


def curves(predicted: dict[str, tuple[np.ndarray, np.ndarray]], centre: float = 0.0) -> tuple[CurvePoint, ...]:
    """Distributions of the predicted Y(0) and of the predicted effect, in 30 bins that the systems share.

    Predictions are those of the outcome less ``centre``.

    The bins span the middle 99 % of all systems' predictions; what lies outside is counted in the outermost bins, so
    that each series adds up to one.
    """
    points: list[CurvePoint] = []
    for curve, values, shift in (
        ("y0_distribution", {name: mu0 for name, (mu0, _) in predicted.items()}, centre),
        ("effect_distribution", {name: mu1 - mu0 for name, (mu0, mu1) in predicted.items()}, 0.0),
    ):
        edges = bins(*np.quantile(np.concatenate(list(values.values())), MIDDLE))
        for name, predictions in values.items():
            counted = np.histogram(np.clip(predictions, edges[0], edges[-1]), edges)[0]
            points += curve_points(curve, name, shift + edges, counted / len(predictions))
    return tuple(points)


def bins(low: float, high: float) -> np.ndarray:
    """Edges of the 30 bins: shape (31,)."""
    if high - low <= 1e-12 * max(abs(low), abs(high), 1e-300):
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, BINS + 1)


def curve_points(curve: str, system: str, edges: np.ndarray, shares: np.ndarray) -> list[CurvePoint]:
    """One series: the share of each bin at its middle."""
    middles = (edges[:-1] + edges[1:]) / 2
    return [CurvePoint(curve, system, float(m), float(s)) for m, s in zip(middles, shares, strict=True)]
