"""Local polynomials at a cutoff: the rdrobust package called quietly, and the fitted lines that a figure draws."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import Refusal
from ..moments import Moments, independent

FEWEST = 20
# A jump of the treatment that rdrobust takes for none.
JUST_NOTHING = float(np.sqrt(np.finfo(float).eps))


@dataclass(frozen=True)
class LocalFit:
    """One robust bias-corrected fit (Calonico, Cattaneo & Titiunik 2014).

    Attributes
    ----------
    estimate, conventional_se : float
        The conventional local polynomial contrast, in units of the outcome (a unit of treatment, where fuzzy).
    bias_corrected, robust_se, robust_z, robust_p, robust_low, robust_high : float
        Bias-corrected contrast, its robust standard error, test and 95 % interval.
    bandwidth, bias_bandwidth : tuple of float
        Left and right, in units of the running variable.
    n_in_bandwidth : tuple of int
        Left and right.
    first_stage, first_stage_f : float or None
        Jump of the treatment at the cutoff and its squared conventional z; None where sharp.
    """

    estimate: float
    conventional_se: float
    bias_corrected: float
    robust_se: float
    robust_z: float
    robust_p: float
    robust_low: float
    robust_high: float
    bandwidth: tuple[float, float]
    bias_bandwidth: tuple[float, float]
    n_in_bandwidth: tuple[int, int]
    first_stage: float | None
    first_stage_f: float | None


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Neither printing nor warnings: rdrobust does both on mass points."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def local_fit(
    y: np.ndarray,
    x: np.ndarray,
    cutoff: float,
    order: int,
    kernel: str,
    bandwidth: float | None = None,
    fuzzy: np.ndarray | None = None,
    covariates: np.ndarray | None = None,
    cluster: np.ndarray | None = None,
) -> LocalFit:
    """The contrast of local polynomials right and left of the cutoff, by the method's authors' package.

    Parameters
    ----------
    y, x : ndarray of shape (n,)
        Outcome and running variable; x ≥ cutoff is right.
    order : int
        Degree p; the bias is estimated with p + 1.
    kernel : triangular, epanechnikov or uniform
    bandwidth : float, optional
        Both sides, and for the bias too; default: one MSE-optimal bandwidth (mserd).
    fuzzy : ndarray of shape (n,), optional
        Treatment taken; the contrast is then divided by its jump.
    covariates : ndarray of shape (n, k), optional
    cluster : ndarray of shape (n,), optional
        Cluster codes: CR1 in place of the nearest-neighbour variance.

    Raises
    ------
    Refusal
        For fewer than 20 observations a side (inside a declared bandwidth), or where rdrobust gives no number.
    """
    enough(x, cutoff, bandwidth)
    left, right = x < cutoff, x >= cutoff
    check_values(len(np.unique(x[left])), len(np.unique(x[right])), order)
    if np.ptp(y) == 0:
        raise Refusal(*CONSTANT)
    if cluster is not None:
        check_clusters(bool(np.ptp(cluster[left]) > 0), bool(np.ptp(cluster[right]) > 0))
    with quiet():
        from rdrobust import rdrobust

        try:
            # Centred, as x / sd − c / sd loses digits where the cutoff is far from zero, and squares of y where its
            # mean is (a fuzzy design's bandwidth depends on where the outcome has its zero).
            fit = rdrobust(
                y - y.mean() if fuzzy is None else y, x - cutoff, c=0, p=order, kernel=kernel, h=bandwidth,
                fuzzy=fuzzy, cluster=cluster,
                covs=None if covariates is None else scaled(covariates, x, centred=fuzzy is None),
                vce="nn" if cluster is None else "cr1",
            )  # fmt: skip
        except Exception as error:  # rdrobust raises bare Exceptions
            raise _refusal(str(error)) from None
    return _read(fit, fuzzy is not None)


_MEND = "Declare a wider bandwidth, or look for ties and constant values near the cutoff"
_UNFIT = "the local polynomial cannot be fitted: "
FLAT = (_UNFIT + "the running variable varies too little near the cutoff to choose a bandwidth", _MEND)
THIN = (_UNFIT + "too few distinct values of the running variable within the bandwidth", _MEND)
CONSTANT = (_UNFIT + "the outcome is the same in every row", "Check the outcome in the units")
NO_FIRST_STAGE = (_UNFIT + "the treatment neither varies nor jumps at the cutoff", "Check the treatment in the units")
NOT_FINITE = ("the local polynomial gives no finite estimate and standard error", _MEND)
# How rdrobust's own words begin.
_KNOWN = {
    "Not enough variability": FLAT, "Not enough distinct": THIN, "Fuzzy RD: first-stage variable": NO_FIRST_STAGE,
}  # fmt: skip


def _refusal(words: str) -> Refusal:
    known = [refusal for start, refusal in _KNOWN.items() if words.startswith(start)]
    return Refusal(*known[0]) if known else Refusal(_UNFIT + words.rstrip("."), _MEND)


def scaled(covariates: np.ndarray, x: np.ndarray, centred: bool) -> np.ndarray | None:
    """Columns that neither x nor earlier ones explain, with standard deviation 1 (and mean 0 if ``centred``).

    None where no column is left. The estimate does not depend on their units, but rdrobust drops a column as collinear
    below an absolute bound and not where a constant explains it, and a large mean costs it digits. In a fuzzy design
    its bandwidth depends on where a covariate has its zero, so that there the means stay.
    """
    columns = np.column_stack([x, covariates])
    moments = Moments.of(columns, [str(k) for k in range(columns.shape[1])])
    kept = columns[:, independent(moments.covariance())[1:]]
    return (kept - kept.mean(axis=0) * centred) / kept.std(axis=0) if kept.shape[1] else None


def check_values(left: int, right: int, order: int) -> None:
    """Refuse where a side has too few distinct values of the running variable for the bias's polynomial."""
    for side, count in (("left", left), ("right", right)):
        if count < order + 2:
            reason = (
                f"{count} distinct values {side} of the cutoff; a polynomial of degree {order + 1} needs {order + 2}"
            )
            raise Refusal(_UNFIT + reason, "Measure the running variable more finely, or declare a lower order")


def check_clusters(left: bool, right: bool) -> None:
    """Refuse a side with a single cluster: each side has its own variance."""
    for side, several in (("left", left), ("right", right)):
        if not several:
            reason = f"all rows {side} of the cutoff are in one cluster"
            raise Refusal(_UNFIT + reason, "Name a column with several clusters a side, or drop the role 'cluster'")


def enough(x: np.ndarray, cutoff: float, bandwidth: float | None = None) -> None:
    """`check_counts` of a running variable of shape (n,)."""
    check_bandwidth(bandwidth)
    near = x if bandwidth is None else x[np.abs(x - cutoff) <= bandwidth]
    check_counts(int((near < cutoff).sum()), int((near >= cutoff).sum()), cutoff, bandwidth)


def check_bandwidth(bandwidth: float | None) -> None:
    """Refuse a declared bandwidth that is not positive."""
    if bandwidth is not None and bandwidth <= 0:
        raise Refusal(f"bandwidth {bandwidth:g} is not positive", "Declare one in units of the running variable")


def check_counts(left: int, right: int, cutoff: float, bandwidth: float | None) -> None:
    """Refuse where a side (within a declared bandwidth) holds fewer than 20 observations."""
    reach = "" if bandwidth is None else f" within {bandwidth:g} of it"
    for side, count in (("left", left), ("right", right)):
        if count == 0:
            raise Refusal(f"no observation {side} of the cutoff {cutoff:g}{reach}", "Check the cutoff and its unit")
        if count < FEWEST:
            reason = f"{count} observations {side} of the cutoff {cutoff:g}{reach}; at least {FEWEST} are needed"
            raise Refusal(reason, "Widen the bandwidth or collect more data near the cutoff")


def _read(fit: Any, is_fuzzy: bool) -> LocalFit:
    def row(frame: Any, name: str) -> tuple[float, ...]:
        return tuple(float(v) for v in np.ravel(frame.loc[name].to_numpy(dtype=float)))

    (estimate,), (corrected,) = row(fit.coef, "Conventional"), row(fit.coef, "Robust")
    (conventional,), (robust,) = row(fit.se, "Conventional"), row(fit.se, "Robust")
    low, high = row(fit.ci, "Robust")
    if not np.isfinite([estimate, conventional, corrected, robust]).all() or robust <= 0:
        raise Refusal(*NOT_FINITE)
    h, b = row(fit.bws, "h"), row(fit.bws, "b")
    jump = row(fit.tau_T, "Conventional")[0] if is_fuzzy else None
    strength = row(fit.z_T, "Conventional")[0] ** 2 if is_fuzzy else None
    inside = int(fit.N_h[0]), int(fit.N_h[1])
    (z,), (p,) = row(fit.z, "Robust"), row(fit.pv, "Robust")
    return LocalFit(
        estimate, conventional, corrected, robust, z, p, low, high,
        (h[0], h[1]), (b[0], b[1]), inside, jump, strength,
    )  # fmt: skip


def kernel_weights(u: np.ndarray, kernel: str) -> np.ndarray:
    """Kernel at distances u in bandwidths, zero beyond one; up to a constant."""
    inside = np.abs(u) <= 1
    shape = {"uniform": np.ones_like(u), "triangular": 1 - np.abs(u), "epanechnikov": 1 - u**2}[kernel]
    return np.where(inside, shape, 0.0)


def fitted_line(
    y: np.ndarray, x: np.ndarray, cutoff: float, bandwidth: float, order: int, kernel: str, at: np.ndarray
) -> np.ndarray:
    """The kernel-weighted polynomial of one side at points of shape (m,): the conventional fit without covariates."""
    u = (x - cutoff) / bandwidth
    root = np.sqrt(kernel_weights(u, kernel))
    design = np.vander(u, order + 1, increasing=True)
    beta = np.linalg.lstsq(design * root[:, None], y * root, rcond=None)[0]
    return np.vander((at - cutoff) / bandwidth, order + 1, increasing=True) @ beta
