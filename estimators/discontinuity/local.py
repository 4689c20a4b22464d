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

FEWEST = 20


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
    """Neither printing nor warnings: both packages do on mass points, and rddensity changes filters at import."""
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
    with quiet():
        from rdrobust import rdrobust

        try:
            fit = rdrobust(
                y, x, c=cutoff, p=order, kernel=kernel, h=bandwidth, fuzzy=fuzzy, covs=covariates, cluster=cluster,
                vce="nn" if cluster is None else "cr1",
            )  # fmt: skip
        except Exception as error:  # rdrobust raises bare Exceptions
            raise Refusal(f"the local polynomial cannot be fitted: {str(error).rstrip('.')}", _MEND) from None
    return _read(fit, fuzzy is not None)


_MEND = "Declare a wider bandwidth, or look for ties and constant values near the cutoff"


def enough(x: np.ndarray, cutoff: float, bandwidth: float | None = None) -> None:
    """Refuse where a side (within a declared bandwidth) holds fewer than 20 observations; ``x`` has shape (n,)."""
    if bandwidth is not None and bandwidth <= 0:
        raise Refusal(f"bandwidth {bandwidth:g} is not positive", "Declare one in units of the running variable")
    near = x if bandwidth is None else x[np.abs(x - cutoff) <= bandwidth]
    reach = "" if bandwidth is None else f" within {bandwidth:g} of it"
    for side, count in (("left", int((near < cutoff).sum())), ("right", int((near >= cutoff).sum()))):
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
        raise Refusal("the local polynomial gives no finite estimate and standard error", _MEND)
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
