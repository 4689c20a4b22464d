"""The generalised propensity score of Hirano & Imbens: the density of the dose given covariates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import Refusal
from ..linear import fit_ols
from ..result import Diagnostic
from ..thresholds import limit

NORMAL, LOG_NORMAL = "normal", "log_normal"
BLOCKS = 5


@dataclass(frozen=True)
class Gps:
    """A normal law of the dose, or of its logarithm, around a linear function of the covariates.

    Attributes
    ----------
    is_log : bool
    names : tuple of str
        Kept columns, ``(intercept)`` first.
    coef : ndarray of shape (k,)
    mean : ndarray of shape (n,)
        Of the dose (its logarithm), for each unit.
    sigma : float
        Its maximum-likelihood standard deviation, without a correction of degrees of freedom.
    r2 : float
    """

    is_log: bool
    names: tuple[str, ...]
    coef: np.ndarray
    mean: np.ndarray
    sigma: float
    r2: float

    def score(self, dose: np.ndarray | float) -> np.ndarray:
        """r(t, X): the normal density at t (at log t), of each unit."""
        z = (scale_of(dose, self.is_log) - self.mean) / self.sigma
        return np.exp(-0.5 * z**2) / (self.sigma * np.sqrt(2 * np.pi))


def scale_of(dose: np.ndarray | float, is_log: bool) -> np.ndarray:
    """The dose, or its logarithm."""
    return np.log(dose) if is_log else np.asarray(dose, dtype=float)


def fit_gps(dose: np.ndarray, x: np.ndarray, names: tuple[str, ...], w: np.ndarray, law: str) -> Gps:
    """The law of the dose given the covariates, by maximum likelihood.

    Parameters
    ----------
    dose : ndarray of shape (n,)
    x : ndarray of shape (n, k)
    law : str
        normal, log_normal, or auto: the one with the higher likelihood (log-normal only where all doses are positive).

    Raises
    ------
    Refusal
        For a logarithm of doses that are not positive, too few rows, or a dose that the covariates determine.
    """
    if law == LOG_NORMAL and dose.min() <= 0:
        reason = f"the dose is {dose.min():g} in some row, and a log-normal law has positive doses only"
        raise Refusal(reason, "Declare `law: normal`, or narrow the population to those with a dose")
    laws = [law] if law != "auto" else [NORMAL, *([LOG_NORMAL] if dose.min() > 0 else [])]
    fits = [_fit(dose, x, names, w, one == LOG_NORMAL) for one in laws]
    return max(fits, key=lambda fit: _log_likelihood(fit, dose, w))


def _fit(dose: np.ndarray, x: np.ndarray, names: tuple[str, ...], w: np.ndarray, is_log: bool) -> Gps:
    u = scale_of(dose, is_log)
    try:
        fit = fit_ols(u, x, names, w)
    except ValueError as few:
        raise Refusal(f"the law of the dose cannot be fitted: {few}", "Use fewer covariates") from None
    variance = float(np.average(fit.residuals**2, weights=w))
    if variance <= 1e-16 * float(np.var(u)):
        reason = "the covariates determine the dose, so nobody with the same covariates had another"
        raise Refusal(reason, "Drop the covariate that defines the dose", "not_identified")
    return Gps(is_log, fit.names, fit.coef, u - fit.residuals, float(np.sqrt(variance)), fit.r2)


def _log_likelihood(fit: Gps, dose: np.ndarray, w: np.ndarray) -> float:
    jacobian = float(np.average(np.log(dose), weights=w)) if fit.is_log else 0.0
    return -float(np.log(fit.sigma)) - jacobian


def surface(dose: np.ndarray | float, score: np.ndarray) -> np.ndarray:
    """Columns of the outcome's regression, (1, t, t², r, r², t r): shape (n, 6)."""
    t = np.broadcast_to(np.asarray(dose, dtype=float), score.shape)
    return np.column_stack([np.ones(len(score)), t, t**2, score, score**2, t * score])


def fit_surface(y: np.ndarray, dose: np.ndarray, score: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Least squares of the outcome on `surface`: shape (6,). Raises ValueError for too few rows.

    The columns' scale is taken out before (t² of a dose in the thousands has twelve digits).
    """
    unit, unit_r = max(float(np.abs(dose).max()), 1e-300), max(float(score.max()), 1e-300)
    x = surface(dose / unit, score / unit_r)[:, 1:]
    names = ("t", "t2", "r", "r2", "tr")
    fit = fit_ols(y, x, names, w)
    coef = np.zeros(6)
    coef[[0, *(1 + names.index(name) for name in fit.names[1:])]] = fit.coef
    return coef / np.array([1, unit, unit**2, unit_r, unit_r**2, unit * unit_r])


def response(coef: np.ndarray, fit: Gps, doses: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """E[Y(d)] and its derivative at doses of shape (q,): means over units of β(d, r(d, X)).

    dr/dd = −r (u − m(X)) / σ² du/dd, with u the dose or its logarithm.
    """
    level, slope = np.empty(len(doses)), np.empty(len(doses))
    share = w / w.sum()
    for j, dose in enumerate(doses):
        r = fit.score(float(dose))
        along = -r * (scale_of(float(dose), fit.is_log) - fit.mean) / fit.sigma**2
        along = along / dose if fit.is_log else along
        level[j] = share @ surface(dose, r) @ coef
        slope[j] = coef[1] + 2 * coef[2] * dose + share @ ((coef[3] + 2 * coef[4] * r + coef[5] * dose) * along)
        slope[j] += coef[5] * (share @ r)
    return level, slope


def resampled(
    y: np.ndarray, dose: np.ndarray, x: np.ndarray, names: tuple[str, ...], w: np.ndarray, is_log: bool,
    doses: np.ndarray, codes: np.ndarray, draws: int, seed: int,
) -> np.ndarray:  # fmt: skip
    """Levels and slopes in resamples of units or clusters, the score fitted anew in each: shape (kept, 2 q).

    Parameters
    ----------
    codes : ndarray of shape (n,) of 0 … G − 1
        The cluster of each unit, or its own number.
    """
    rng, groups, kept = np.random.default_rng(seed), int(codes.max()) + 1, []
    for _ in range(draws):
        times = np.bincount(rng.integers(0, groups, groups), minlength=groups)[codes]
        used = times > 0
        mass = (w * times)[used]
        try:
            fit = _fit(dose[used], x[used], names, mass, is_log)
            coef = fit_surface(y[used], dose[used], fit.score(dose[used]), mass)
        except (Refusal, ValueError):
            continue
        kept.append(np.concatenate(response(coef, fit, doses, mass)))
    if len(kept) < 0.9 * draws:
        reason = f"in {draws - len(kept)} of {draws} resamples a model could not be fitted"
        raise Refusal(reason, "Use fewer covariates, or `method: doubly_robust`")
    return np.array(kept)


def tercile_balance(
    fit: Gps, dose: np.ndarray, x: np.ndarray, names: tuple[str, ...], w: np.ndarray
) -> tuple[Diagnostic, ...]:
    """Mean of each covariate in a tercile of the dose less that of the others, in standard deviations.

    ``dose_smd`` before; ``dose_smd_adjusted`` inside fifths of the score at the tercile's median dose, averaged by the
    size of the fifths that have both (Hirano & Imbens 2004, section 7.5), held against 0.1.
    """
    edges = np.quantile(dose, [1 / 3, 2 / 3])
    tercile = np.searchsorted(edges, dose, side="left")
    spread = np.where(x.std(axis=0) > 0, x.std(axis=0), 1.0)
    rows = []
    for j in range(3):
        inside = tercile == j
        if not inside.any() or inside.all():
            continue
        score = fit.score(float(np.median(dose[inside])))
        cuts = np.quantile(score[inside], np.arange(1, BLOCKS) / BLOCKS)
        before = _difference(x, inside, w, np.zeros(len(dose), dtype=int)) / spread
        after = _difference(x, inside, w, np.searchsorted(cuts, score)) / spread
        for name, raw, adjusted in zip(names, before, after, strict=True):
            subject = f"{name}, tercile {j + 1}"
            rows.append(Diagnostic("dose_smd", subject, float(raw)))
            passes = bool(abs(adjusted) < limit("balance"))
            rows.append(Diagnostic("dose_smd_adjusted", subject, float(adjusted), limit("balance"), passes))
    return tuple(rows)


def _difference(x: np.ndarray, inside: np.ndarray, w: np.ndarray, block: np.ndarray) -> np.ndarray:
    total, mass = np.zeros(x.shape[1]), 0.0
    for b in np.unique(block):
        yes, no = inside & (block == b), ~inside & (block == b)
        if w[yes].sum() > 0 and w[no].sum() > 0:
            size = float(w[yes].sum() + w[no].sum())
            total += size * (np.average(x[yes], axis=0, weights=w[yes]) - np.average(x[no], axis=0, weights=w[no]))
            mass += size
    return total / mass if mass > 0 else np.full(x.shape[1], np.nan)
