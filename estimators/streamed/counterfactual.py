"""Three counterfactual systems of rows that stay in the warehouse."""

from __future__ import annotations

import dataclasses
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from ..errors import Refusal
from ..estimates import made
from ..moments import independent
from ..result import CurvePoint, Diagnostic, Result
from ..scan import columns as scan_columns
from ..scan import features as scan_features
from ..scan.arm_fit import ArmFit, centred, fit_arm
from ..scan.clusters import squares
from ..scan.features import Features, pieces
from ..scan.forest import Coarse, Forest
from ..scan.frame import Frame
from ..scan.instrumental import check_keys
from ..scan.stream import Plan, quoted
from ..selection_on_observables.counterfactual import (
    LEAST_UNITS,
    MIDDLE,
    agreement,
    bins,
    check_draws,
    curve_points,
    spread_rows,
)
from ..selection_on_observables.systems import has_products, least_gcv
from .carried import factor_of
from .counterfactual_scan import SYSTEMS, Fits, Reader, Sample, Totals, parts
from .own_moments import moments_of
from .problem import Streamed
from .sample import check_arms, counts, sample
from .training import HASHES


def counterfactual(problem: Streamed, estimand: str) -> Result:
    """The average effect on all units by three systems of outcome regressions, and their mean.

    The systems, rows, diagnostics and refusals of `estimators.selection_on_observables.counterfactual`. ``linear`` and
    ``nonlinear`` are equal to those in memory: they are solved from cross-products, of the covariates in the shared
    scan and of squares and products in one more. ``learned`` is coarser: a forest an arm of 30 trees of at most 1,024
    leaves (in memory 200 trees of any size), trained on about ``row_budget`` rows, half of them in each arm where both
    have as many. A unit is in this sample by the hash of its label and the seed, whatever the order of the rows. The
    last scan predicts both outcomes of every row: about 100,000 rows a second and core (140,000 with 8 covariates,
    85,000 with 20).

    Standard errors are √Σψ² / n by influence values ψ (sums a cluster, jackknifed, where clusters are declared):
    what the standard deviation over draws of the Bayesian bootstrap tends to. ψ counts the sampling of the covariates
    and the residuals of both regressions with the ridge's penalty kept; for the forest, its training rows' out-of-bag
    residuals times the weight that the predictions of all units put on them. Normal reference. The option ``bootstrap``
    changes nothing but that fewer than 20 draws are refused, as in memory.

    Bins of the two distributions span the middle 99 % of the sample's predictions (in memory of all units'); every unit
    is counted. The diagnostic ``training_rows`` gives the rows of the sample. Held in memory: the sample, blocks, and
    two arrays of q × q numbers an arm for q features (at most 250).

    Raises
    ------
    Refusal
        As in memory, and where the sample holds fewer than 10 units of an arm.

    Sources
    -------
    Robins 1986 (g-formula); Hoerl & Kennard 1970; Breiman 2001; Rubin 1981; Newey & McFadden 1994 (influence values).
    """
    check_arms(problem, least=LEAST_UNITS)
    standard = standardise(problem)
    linear = _linear(standard)
    check_draws(problem.own("bootstrap"))
    chosen = _drawn(problem)
    trained = _sample(problem, standard, chosen)
    features = _features(problem, standard, trained)
    plan = dataclasses.replace(standard.plan, cluster=None)
    nonlinear = _nonlinear(standard, scan_features.products(problem.source, plan, standard.frame, features))
    fits = Fits(features, linear, nonlinear, standard.arm_means)
    forests = _forests(trained, standard, problem.study.seed)
    edges, pilot = _look(fits, forests, trained, standard)
    totals = Totals(edges, pilot)
    rest = standard.reader(problem, f"not ({chosen})")
    cross = _scan(problem, parts(rest, fits, forests, trained, totals), totals)
    return _result(problem, estimand, standard, fits, trained, totals, cross)


@dataclass(frozen=True)
class Standard:
    """Covariates and outcome in standard deviations (n below) from their means.

    Attributes
    ----------
    plan : Plan
        Reads the k covariates that vary and, last, the outcome, by arm.
    frame : Frame
        Standardises them.
    cross : ndarray of shape (2, k + 2, k + 2)
        Cross-products by arm of the constant and the columns.
    kept : tuple of two lists
        Covariates of each arm that earlier ones do not explain there.
    """

    plan: Plan
    frame: Frame
    cross: np.ndarray
    kept: tuple[list[int], list[int]]

    def reader(self, problem: Streamed, condition: str) -> Reader:
        """Of the rows that keep to a condition."""
        return Reader(problem.source.kept(condition), self.plan, self.frame, self.coarse)

    @property
    def coarse(self) -> Coarse:
        """The columns as the forests read them."""
        return Coarse.of(self.frame)

    @property
    def rows(self) -> np.ndarray:
        """Units by arm: shape (2,)."""
        return self.cross[:, 0, 0]

    @property
    def outcome(self) -> tuple[float, float]:
        """The outcome's mean and standard deviation."""
        return float(self.frame.shift[-1]), float(self.frame.scale[-1])

    @property
    def arm_means(self) -> tuple[float, float]:
        """The outcome's mean in each arm, in standard units."""
        control, treated = self.cross[:, 0, -1] / self.rows
        return float(control), float(treated)

    @property
    def within(self) -> float:
        """Σ (y − ȳ of the arm)² in standard units."""
        return sum(float(centred(own)[-1, -1]) for own in self.cross)


def standardise(problem: Streamed) -> Standard:
    """Covariates that vary and the outcome, from the shared scan.

    Raises
    ------
    Refusal
        If no covariate varies.
    """
    x, (y,) = problem.columns(problem.options.outcome.covariates), problem.columns((problem.study.outcome,))
    moments = moments_of(problem, (*x, y))
    spread = np.sqrt(np.maximum(np.diag(moments.covariance()), 0.0))
    varies = spread > 1e-12 * np.abs(moments.means())
    x = tuple(column for column in x if varies[moments.names.index(column.name)])
    if not x:
        raise Refusal("no covariate varies, so there is nothing to model", "Declare covariates")
    at = [moments.names.index(column.name) for column in (*x, y)]
    plan = Plan((*x, y), group=problem.treated(), n_groups=2, cluster=_cluster(problem))
    frame = Frame.of(moments.means()[at], spread[at], plan.rows())
    turn = np.zeros((len(at) + 1, len(moments.names) + 1))
    turn[0, 0] = 1.0
    for row, j in enumerate(at, start=1):
        turn[row, j + 1] = moments.scale[j] / spread[j]
        turn[row, 0] = (moments.shift[j] - frame.shift[row - 1]) / spread[j]
    own = [moments.only(arm)._centred()[np.ix_(at[:-1], at[:-1])] for arm in (0, 1)]
    return Standard(plan, frame, turn @ moments.cross @ turn.T, (independent(own[0]), independent(own[1])))


def _cluster(problem: Streamed) -> str | None:
    name = problem.study.cluster
    return scan_columns.cluster_key(name, problem.types[name]) if name else None


def _linear(standard: Standard) -> tuple[ArmFit, ArmFit]:
    """Least squares of each arm on the columns that vary independently there."""
    whole = standard.cross[:, 0, :-1].sum(axis=0)
    fits = []
    for own, kept in zip(standard.cross, standard.kept, strict=True):
        if own[0, 0] <= len(kept) + 1:
            few = f"{int(own[0, 0])} rows cannot carry {len(kept) + 1} coefficients"
            raise Refusal(f"the outcome regression cannot be fitted: {few}", "Use fewer covariates")
        fits.append(fit_arm(own, whole, np.eye(len(whole))[[0, *(j + 1 for j in kept)]]))
    return fits[0], fits[1]


def _features(problem: Streamed, standard: Standard, trained: Sample) -> Features:
    """Which squares and products the ridge has: the square of a column of two values is left out."""
    columns = standard.plan.columns[:-1]
    many = [len(np.unique(values)) > 2 for values in trained.z[1:-1]]
    unclear = [j for j, more in enumerate(many) if not more]
    if unclear:
        levels = problem.source.one(", ".join(f"count(distinct {columns[j].sql})" for j in unclear))
        for j, found in zip(unclear, levels, strict=True):
            many[j] = found > 2
    squared = tuple(j for j, more in enumerate(many) if more)
    total = standard.cross.sum(axis=0)
    correlation = total[1:-1, 1:-1] / total[0, 0]
    return Features.of(correlation, squared, has_products(len(columns), len(squared)))


def _nonlinear(standard: Standard, products: np.ndarray) -> tuple[ArmFit, ArmFit]:
    """Ridge of each arm on the standardised features, its penalty by generalised cross-validation."""
    whole = products[:, 0, :-1].sum(axis=0)
    mean = whole[1:] / whole[0]
    square = np.diag(products.sum(axis=0))[1:-1] / whole[0]
    spread = np.sqrt(np.maximum(square - mean**2, 0.0))
    varies = np.flatnonzero(spread > 1e-12)
    change = np.zeros((len(varies) + 1, len(whole)))
    change[0, 0] = 1.0
    change[np.arange(len(varies)) + 1, varies + 1] = 1 / spread[varies]
    change[1:, 0] = -mean[varies] / spread[varies]
    fits = [fit_arm(own, whole, change, _penalty) for own in products]
    return fits[0], fits[1]


def _penalty(products: np.ndarray) -> float:
    own = centred(products)
    return least_gcv(own[:-1, :-1], own[:-1, -1], float(own[-1, -1]), round(float(products[0, 0])))


def _drawn(problem: Streamed) -> str:
    """SQL that is true in about ``row_budget`` rows, half in each arm, or all of an arm that has fewer.

    The hash is that of `training.training_sample`: of the unit and the seed, and no fold's.
    """
    study, budget = problem.study, problem.study.row_budget
    untreated, treated = sample(problem).used
    hashed = scan_columns.fold(study.unit, problem.types[study.unit], HASHES, study.seed + 1)
    limits = []
    for own, other in ((untreated, treated), (treated, untreated)):
        wanted = max(budget // 2, budget - other)
        limits.append(min(math.ceil(HASHES * wanted / own), HASHES))
    return f"{hashed} < case when {problem.treated()} = 1 then {limits[1]} else {limits[0]} end"


def _sample(problem: Streamed, standard: Standard, chosen: str) -> Sample:
    """The training rows, untreated ones first, in the order of the unit."""
    found: list[list[tuple[np.ndarray, ...]]] = [[], []]
    for grouped, z, x, y, cluster in standard.reader(problem, chosen).blocks(quoted(problem.study.unit)):
        for arm, part in grouped.parts():
            keys = np.empty(0, dtype=np.int64) if cluster is None else cluster[part]
            found[arm].append((z[:, part].T.copy(), x[part], y[part], keys))
    size = [sum(len(rows[0]) for rows in arm) for arm in found]
    for rows_of, label in ((size[1], "treated"), (size[0], "untreated")):
        if rows_of < LEAST_UNITS:
            left = f"a row_budget of {problem.study.row_budget} leaves {rows_of} {label} units to train on"
            raise Refusal(f"{left}, and {LEAST_UNITS} are needed", "Raise row_budget")
    rows, x, y, keys = (np.concatenate(columns) for columns in zip(*found[0], *found[1], strict=True))
    arms = (slice(0, size[0]), slice(size[0], sum(size)))
    return Sample(np.ascontiguousarray(rows.T), x, y, arms, keys if problem.study.cluster else None)


def _forests(trained: Sample, standard: Standard, seed: int) -> tuple[Forest, Forest]:
    """The two arms' forests, fitted side by side; they predict in the outcome's standard units."""
    place, (mean, sd), coarse = np.arange(len(trained.y)), standard.outcome, standard.coarse
    unit = (float(coarse.shift[-1]) - mean) / sd, float(coarse.scale[-1]) / sd

    def fit(arm: int) -> Forest:
        part = trained.arms[arm]
        inside = (place >= part.start) & (place < part.stop)
        return Forest(trained.x, trained.y, inside, seed + arm, unit)

    with ThreadPoolExecutor(2) as pool:
        control, treated = pool.map(fit, (0, 1))
    return control, treated


def _look(fits: Fits, forests: tuple[Forest, Forest], trained: Sample, standard: Standard) -> tuple[np.ndarray, float]:
    """Bins of Y(0) and the effect, of shape (2, 31), and the learned effect, as far as the sample tells."""
    buffer = fits.features.buffer()
    linear = [fits.predict(fits.features.fill(z, buffer)[:-1]) for z in pieces(trained.z, fits.features.rows)]
    predicted = np.concatenate([np.concatenate(linear, axis=2), [[forest.sample for forest in forests]]])
    weights = np.empty(trained.z.shape[1])
    for part, rows in zip(trained.arms, standard.rows, strict=True):
        weights[part] = rows / (part.stop - part.start)
    edges = []
    for values in (predicted[:, 0], predicted[:, 1] - predicted[:, 0]):
        edges.append(bins(*np.quantile(values.ravel(), MIDDLE, weights=np.tile(weights, 3), method="inverted_cdf")))
    return np.array(edges), float(np.average(predicted[2, 1] - predicted[2, 0], weights=weights))


def _scan(problem: Streamed, given, totals: Totals) -> np.ndarray:  # type: ignore[no-untyped-def]
    """Products of the influence values and 1, by row, or of sums a cluster times the cluster's factor: shape (4, 4)."""
    if problem.study.cluster is None:
        for _ in given:
            pass
        return totals.cross
    clusters = problem.n_clusters
    assert clusters is not None
    found, products = squares(problem.source.connection, given, products=True, factor=factor_of(problem))
    check_keys(found, clusters)
    return products


def _result(
    problem: Streamed, estimand: str, standard: Standard, fits: Fits, trained: Sample, totals: Totals, cross: np.ndarray
) -> Result:
    n, (mean, sd) = float(standard.rows.sum()), standard.outcome
    change = np.column_stack([np.eye(3), -totals.psi[:3] / n])
    variance = change @ cross @ change.T * (sd / n) ** 2
    levels = [arms[1].level - arms[0].level for arms in (fits.linear, fits.nonlinear)]
    effects = sd * np.array([*levels, totals.pilot + totals.learned / n])
    kind = "influence_function" if problem.study.cluster is None else "cluster"
    fields = counts(problem) | {"variance_estimator": kind, "df": problem.reference_df()}
    rows = [made(estimand, float(effects.mean()), float(np.sqrt(variance.mean())), **fields)]
    for j, name in enumerate(SYSTEMS):
        own = float(np.sqrt(variance[j, j]))
        rows.append(made(estimand, float(effects[j]), own, term=f"system={name}", **fields))
    return Result(
        tuple(rows), _diagnostics(standard, fits, trained, totals, effects), _curves(totals, mean, sd, n),
        (agreement(effects, sd * math.sqrt(n / (n - 1))),),
    )  # fmt: skip


def _diagnostics(
    standard: Standard, fits: Fits, trained: Sample, totals: Totals, effects: np.ndarray
) -> tuple[Diagnostic, ...]:
    rows, total = spread_rows(effects), standard.within
    for name, left in zip(SYSTEMS, totals.left, strict=True):
        rows.append(Diagnostic("r2", name, 1 - float(left) / total if total > 0 else None))
    for subject, fit in zip(("control", "treated"), fits.nonlinear, strict=True):
        rows.append(Diagnostic("ridge_penalty", subject, fit.penalty))
    return (*rows, Diagnostic("training_rows", "overall", float(trained.z.shape[1])))


def _curves(totals: Totals, mean: float, sd: float, n: float) -> tuple[CurvePoint, ...]:
    points: list[CurvePoint] = []
    for i, (curve, shift) in enumerate((("y0_distribution", mean), ("effect_distribution", 0.0))):
        for name, found in zip(SYSTEMS, totals.counts[i], strict=True):
            points += curve_points(curve, name, shift + sd * totals.edges[i], found / n)
    return tuple(points)
