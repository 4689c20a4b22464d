"""What is new in each step of the untreated outcome: the steps, less covariates and less the unit's earlier steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .att_gt import Comparison
from .sample import Sample
from .two_period import effect_weights

# Earlier steps in the regression of a step: at most a unit in five a coefficient.
UNITS_A_LAG = 5


@dataclass(frozen=True)
class Innovations:
    """Steps before treatment, freed of what foretells them, and the weights by which effects average them.

    Attributes
    ----------
    values : ndarray of shape (m, J)
        z: a row a unit (the mean of its units, where rows are clusters) and a column a step; 0 where not untreated.
    untreated : ndarray of shape (m, J), bool
        U_j: who is compared in a step.
    arm : ndarray of shape (m,), int
        Cohort, from 0; of a cluster that of its units.
    weights : ndarray of shape (K, m)
        c: the innovation of ATT(g, t) is Σ_i c_i z_ij.
    step : ndarray of shape (K,), int
        j of each effect.
    slope : ndarray of shape (K,)
        What a differential trend of one a step adds to it.
    spread : ndarray of shape (K,)
        √((|U_j| − 1) / (|U_j| − p)): what p covariates (a constant among them) take off z.
    """

    values: np.ndarray
    untreated: np.ndarray
    arm: np.ndarray
    weights: np.ndarray
    step: np.ndarray
    slope: np.ndarray
    spread: np.ndarray


def innovations(sample: Sample, found: Sequence[Comparison], method: str, link: str) -> Innovations:
    """z_j = e_j − Σ φ_l e_(j−l) over the units U_j that are untreated in step j; no outcome after treatment is read.

    e_j is the step of the outcome less its least squares fit on the covariates of the base period, φ the least squares
    coefficients of earlier steps (a fifth as many as units at most), both pooled over U_j as if trends were parallel.
    Units come in the order of their paths before treatment, so that nothing hangs on the order of rows; with clusters a
    row is the mean of a cluster's units.

    Parameters
    ----------
    sample : Sample
    found : sequence of K Comparison
        Before treatment: each compares one step.
    method, link
        See `two_period.effect_weights`.
    """
    before = sample.periods < sample.cohort[:, None]
    path, known = np.where(before, sample.y, 0.0), np.where(before[:, :, None], sample.x, 0.0)
    order = np.lexsort((*known.reshape(sample.n, -1).T, *path.T, sample.cohort))
    y, x, cohort = sample.y[order], sample.x[order], sample.cohort[order]
    places = sorted({one.at for one in found})
    columns = {at: j for j, at in enumerate(places)}
    weights = np.zeros((len(found), sample.n))
    untreated = np.zeros((sample.n, len(places)), dtype=bool)
    for k, one in enumerate(found):
        d = cohort == one.cohort
        among = d | np.isin(cohort, one.controls)
        weights[k, among] = effect_weights(d[among], x[among, one.base], sample.names, method, link)
        untreated[among, columns[one.at]] = True
    step = np.array([columns[one.at] for one in found])
    steps, spread = np.zeros(untreated.shape), np.ones(len(places))
    for at, j in columns.items():
        steps[untreated[:, j], j], spread[j] = _without_covariates(y, x, at, untreated[:, j])
    values, slope = _without_past(steps, untreated)
    arm = np.unique(cohort, return_inverse=True)[1]
    made = Innovations(values, untreated, arm, weights, step, slope[step], spread[step])
    return made if sample.cluster is None else _by_cluster(made, sample.cluster.codes[order])


def _without_covariates(y: np.ndarray, x: np.ndarray, at: int, among: np.ndarray) -> tuple[np.ndarray, float]:
    change = y[among, at] - y[among, at - 1]
    design = np.column_stack([np.ones(len(change)), x[among, at - 1]])
    length = np.linalg.norm(design, axis=0)
    design = design[:, length > 0] / length[length > 0]
    coef, _, rank, _ = np.linalg.lstsq(design, change, rcond=1e-10)
    left = len(change) - int(rank)
    return change - design @ coef, float(np.sqrt((len(change) - 1) / left)) if left > 0 else 1.0


def _without_past(steps: np.ndarray, untreated: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    values, slope = steps.copy(), np.ones(steps.shape[1])
    for j in range(1, steps.shape[1]):
        among = untreated[:, j]
        # Whoever is untreated now was untreated before, but with few controls may not have been compared.
        past = [i for i in range(j) if untreated[among, i].all()][-(int(among.sum()) // UNITS_A_LAG) :]
        past = past if among.sum() >= UNITS_A_LAG else []
        if past:
            earlier = steps[among][:, past]
            phi = np.linalg.lstsq(earlier, steps[among, j], rcond=1e-10)[0]
            values[among, j] -= earlier @ phi
            slope[j] = 1.0 - phi.sum()
    return values, slope


def _by_cluster(made: Innovations, cluster: np.ndarray) -> Innovations:
    """Clusters for units, in the order of their means: means of z over h, sums of c times h.

    h² ∝ τ² + ω² / n_c is what makes means of clusters of unlike sizes alike: ω² is the variance of z within clusters
    and τ² what theirs differ by more (the moments of a one-way layout, over all steps, each of variance one).
    """
    code = np.unique(cluster, return_inverse=True)[1]
    size = np.bincount(code)
    values, untreated = np.zeros((len(size), made.values.shape[1])), np.zeros((len(size), made.values.shape[1]))
    np.add.at(values, code, made.values)
    np.add.at(untreated, code, made.untreated)
    values /= size[:, None]
    weights = np.zeros((len(size), len(made.weights)))
    np.add.at(weights, code, made.weights.T)
    arm = np.zeros(len(size), dtype=np.int64)
    arm[code] = made.arm
    h = _unlike(made, values, code, size)
    order = np.lexsort((size, *values.T, arm))
    return Innovations(
        (values / h[:, None])[order], untreated[order] > 0, arm[order], (weights * h[:, None])[order].T, made.step,
        made.slope, made.spread,
    )  # fmt: skip


def _unlike(made: Innovations, means: np.ndarray, code: np.ndarray, size: np.ndarray) -> np.ndarray:
    """h: shape (clusters,)."""
    variance = np.array([made.values[made.untreated[:, j], j].var() for j in range(made.values.shape[1])])
    unit = np.where(variance > 0, variance, 1.0)
    within = np.where(made.untreated, (made.values - means[code]) ** 2, 0.0) / unit
    first = np.unique(code, return_index=True)[1]
    seen = made.untreated[first]
    freedom = float(((size - 1)[:, None] * seen).sum())
    omega = float(within.sum()) / freedom if freedom > 0 else 0.0
    between = float((np.where(seen, means**2, 0.0) / unit).sum() / seen.sum())
    inverse = float(((1 / size)[:, None] * seen).sum() / seen.sum())
    h = max(between - omega * inverse, 0.0) + omega / size
    return np.sqrt(h / h.mean()) if h.min() > 0 else np.ones(len(size))
