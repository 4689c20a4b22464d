"""The MSE-optimal bandwidth of rdrobust (``mserd``) from sums over windows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..errors import Refusal
from .local import FLAT
from .power_sums import Sums, Unidentified, slopes

Pair = tuple[Sums, Sums]
# Constants of the rule-of-thumb pilot c, a kernel each.
PILOT = {"triangular": 2.576, "epanechnikov": 2.34, "uniform": 1.843}
# Distinct values a side that a pilot keeps where a fifth of the rows or more are ties.
FEWEST_VALUES = 10
JUST_BEYOND = 1 + float(np.sqrt(np.finfo(float).eps))


@dataclass(frozen=True)
class Form:
    """A linear form of one side's rows, Σ ω r with ω = Σₖ wₖ θₖ(z), whose variance is wanted.

    Attributes
    ----------
    theta : ndarray of shape (kernels, order + 1)
        Polynomials in z that multiply the kernels.
    direction : ndarray of shape (m,)
        s: the form is of s′D.
    line : ndarray of shape (order + 1,)
        The polynomial in z that residuals of s′D are taken from, where rows are clustered.
    parameters : int
        Coefficients of that polynomial, for the clusters' small-sample factor.
    """

    theta: np.ndarray
    direction: np.ndarray
    line: np.ndarray
    parameters: int


class Passes(Protocol):
    """Whoever can read the rows of both sides' windows.

    Attributes
    ----------
    fuzzy : bool
        Whether the second of the m variables is a treatment by whose jump the outcome's is divided.
    units, levels : ndarray of shape (m,)
        Variables are read as D / unit − level.
    """

    @property
    def fuzzy(self) -> bool: ...  # noqa: D102

    @property
    def units(self) -> np.ndarray: ...  # noqa: D102

    @property
    def levels(self) -> np.ndarray: ...  # noqa: D102

    def sums(self, left: tuple[float, ...], right: tuple[float, ...], top: int, variances_follow: bool) -> Pair:
        """Sums up to power ``top`` in windows of these bandwidths, and whether `variances` will be asked of them."""
        ...

    def variances(self, sums: Pair, forms: tuple[list[Form], list[Form]]) -> tuple[np.ndarray, np.ndarray]:
        """Variance of each side's forms."""
        ...


@dataclass(frozen=True)
class Spread:
    """What the pilots ask of the running variable as a whole.

    Attributes
    ----------
    values : int
        Distinct values M.
    tied : bool
        Whether a fifth of the rows or more of a side share another's value.
    sd, iqr : float
        Standard deviation (n − 1) and interquartile range, type 2 of Hyndman & Fan.
    left, right : float
        Farthest distance to the cutoff a side.
    near : float
        The farther of the two sides' 10th nearest distinct values, as a distance.
    """

    values: int
    tied: bool
    sd: float
    iqr: float
    left: float
    right: float
    near: float


@dataclass(frozen=True)
class _Pilot:
    """One side's V: its form, the constant of the bias and the direction s."""

    form: Form
    constant: float


def optimal(passes: Passes, spread: Spread, order: int, kernel: str) -> tuple[float, float]:
    """h and b, one of each for both sides.

    Each of the three steps takes a variance V at the pilot bandwidth c, a bias B from the coefficient of the next
    degree at the bandwidth before, and (but for the first) a regularisation R, and gives
    ((V₋ + V₊) / ((B₊ − B₋)² + R₋ + R₊))^(1 / (2o + 3)): d for the derivative behind b's bias, then b, then h.

    Parameters
    ----------
    passes : Passes
    spread : Spread
    order : int
        p; q = p + 1.
    kernel : str

    Raises
    ------
    Refusal
        Where a pilot is not identified, or no finite positive bandwidth comes out.

    References
    ----------
    Calonico, Cattaneo & Titiunik (2014), Econometrica 82; Calonico, Cattaneo, Farrell & Titiunik (2019), REStat 101.
    """
    widest, q = max(spread.left, spread.right), order + 1
    steps = ((q + 1, q + 1), (q, order + 1), (order, 0))
    try:
        with np.errstate(all="ignore"):
            c = PILOT[kernel] * min(spread.sd, spread.iqr / 1.349) * spread.values ** (-1 / 5)
            c = _checked(min(c, widest), spread)
            at_c = passes.sums((c,), (c,), 2 * q + 3, True)
            pilots = [[_pilot(side, o, nu, passes) for o, nu in steps] for side in at_c]
            v = passes.variances(at_c, ([p.form for p in pilots[0]], [p.form for p in pilots[1]]))
            whole = ((spread.left * JUST_BEYOND,), (spread.right * JUST_BEYOND,))
            bandwidth = previous = 0.0
            for i, (o, nu) in enumerate(steps):
                left, right = whole if i == 0 else ((bandwidth,), (bandwidth,))
                at_b = passes.sums(left, right, 2 * (o + 1), i > 0)
                own = [pilots[side][i] for side in (0, 1)]
                bias = [_bias(side, o, nu, p) for side, p in zip(at_b, own, strict=True)]
                penalty = 0.0 if i == 0 else _penalty(passes, at_b, o, nu, own)
                variance = (2 * nu + 1) * c * (v[0][i] + v[1][i])
                found = (variance / ((bias[1] - bias[0]) ** 2 + penalty)) ** (1 / (2 * o + 3))
                found = min(float(_sound(found, infinite=True)), widest)
                previous, bandwidth = bandwidth, _checked(found, spread) if i == 0 else found
    except Unidentified:
        raise Refusal(*FLAT) from None
    return float(_sound(bandwidth)), float(_sound(previous))


def direction(beta: np.ndarray, gamma: np.ndarray, fuzzy: bool) -> np.ndarray:
    """s: the derivative of the effect by the variables' coefficients, shape (m,).

    Sharp, s = (1, −γ); fuzzy, of the ratio τ_Y / τ_T: (1 / τ_T, −τ_Y / τ_T², …).

    Parameters
    ----------
    beta : ndarray of shape (m,)
        The variables' coefficients (or jumps).
    gamma : ndarray of shape (covariates, 1 or 2)
        See `slopes`.
    """
    lines = adjusted(gamma, len(beta), fuzzy)
    if not fuzzy:
        return lines[0]
    y, t = lines @ beta
    return lines[0] / t - y / t**2 * lines[1]


def adjusted(gamma: np.ndarray, m: int, fuzzy: bool) -> np.ndarray:
    """Outcome (and treatment) less what the covariates explain, as combinations of D: shape (1 or 2, m)."""
    first = 2 if fuzzy else 1
    lines = np.eye(first, m)
    lines[:, first:] = -gamma.T
    return lines


def _pilot(side: Sums, o: int, nu: int, passes: Passes) -> _Pilot:
    """The coefficient ν of a polynomial of degree o; z-scaled, so that V × c^(2ν + 1) is V × c here."""
    first = 2 if passes.fuzzy else 1
    inverse, beta = side.inverse(o), side.coefficients(o)
    gamma = slopes(side.partialled(o), side.dd, first)
    # Variables are centred; only the constant of a one-sided fit feels it.
    s = direction(beta[nu] + (passes.levels if nu == 0 else 0), gamma, passes.fuzzy)
    constant = (inverse @ side.w[0, o + 1 : 2 * o + 2])[nu]
    return _Pilot(Form(inverse[None, :, nu], s, beta @ s, o + 1), constant)


def _bias(side: Sums, o: int, nu: int, pilot: _Pilot) -> float:
    top = side.coefficients(o + 1)[-1] / side.window.scale ** (o + 1)
    return float(np.sqrt(2 * (o + 1 - nu)) * pilot.constant * (pilot.form.direction @ top))


def _penalty(passes: Passes, sums: Pair, o: int, nu: int, pilots: list[_Pilot]) -> float:
    """3 times the variance of the estimated bias, of both sides."""
    forms = [
        Form(side.inverse(o + 1)[None, :, -1], p.form.direction, side.coefficients(o + 1) @ p.form.direction, o + 2)
        for side, p in zip(sums, pilots, strict=True)
    ]
    variances = passes.variances(sums, ([forms[0]], [forms[1]]))
    total = 0.0
    for side, p, variance in zip(sums, pilots, variances, strict=True):
        total += 2 * (o + 1 - nu) * 3 * p.constant**2 * variance[0] / side.window.scale ** (2 * (o + 1))
    return total


def _checked(bandwidth: float, spread: Spread) -> float:
    return max(bandwidth, spread.near) if spread.tied else bandwidth


def _sound(bandwidth: float, infinite: bool = False) -> float:
    """The bandwidth, if it is a positive number (an infinite one is cut to the range by the caller)."""
    if np.isnan(bandwidth) or bandwidth <= 0 or (np.isinf(bandwidth) and not infinite):
        raise Unidentified
    return bandwidth
