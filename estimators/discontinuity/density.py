"""Whether the running variable's density is continuous at the cutoff: the test of rddensity, from sums over windows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..errors import Refusal
from ..laws import normal_density, normal_tail
from ..result import number
from .local import check_counts
from .neighbours import Cells
from .power_sums import Unidentified, hankel, inverse

# Degree p, that of its bias correction, and the rows and distinct values that a bandwidth holds at least.
P, Q, AT_LEAST = 2, 3, 20 + 2 + 1
# Of each side; the farthest may have no weight, and the bandwidth's choice fits a polynomial of degree p + 2.
FEWEST_VALUES = P + 4
# Constants of the normal-reference pilots for p = 2: of the density's second derivative, and of the density.
PILOT_DERIVATIVE, PILOT_DENSITY = 3430865.4551236177795, 548.57142857155463389
# How many values next to the cutoff are asked for.
NEAR = 32


class Values(Protocol):
    """A running variable in ascending order, wherever it is."""

    @property
    def cutoff(self) -> float: ...  # noqa: D102

    @property
    def low(self) -> float: ...  # noqa: D102

    @property
    def high(self) -> float: ...  # noqa: D102

    @property
    def mean(self) -> float: ...  # noqa: D102

    @property
    def sd(self) -> float: ...  # noqa: D102

    def rows_of_sides(self) -> tuple[int, int]:
        """Rows left and right."""
        ...

    def values_of_sides(self) -> tuple[int, int]:
        """Distinct values left and right, exactly where they are few."""
        ...

    def near(self, side: int) -> tuple[np.ndarray, np.ndarray]:
        """The 32 distinct values next to the cutoff (0 left, 1 right), the nearest first, and their rows."""
        ...

    def cells(self, low: float, high: float) -> Iterator[Cells]:
        """Distinct values from ``low`` to ``high`` in ascending order with their rows, in blocks."""
        ...


@dataclass(frozen=True)
class Held:
    """A running variable in memory."""

    all: Cells
    cutoff: float
    mean: float
    sd: float

    @classmethod
    def of(cls, x: np.ndarray, cutoff: float) -> Held:
        """From shape (n,)."""
        cells = Cells.of_rows(np.sort(x), np.empty((0, len(x))))
        return cls(cells, cutoff, float(x.mean()), float(x.std(ddof=1)) if len(x) > 1 else 0.0)

    @property
    def low(self) -> float:
        """Least value."""
        return float(self.all.x[0])

    @property
    def high(self) -> float:
        """Largest value."""
        return float(self.all.x[-1])

    @property
    def _left(self) -> int:
        return int(np.searchsorted(self.all.x, self.cutoff))

    def rows_of_sides(self) -> tuple[int, int]:
        """Rows left and right."""
        return int(self.all.n[: self._left].sum()), int(self.all.n[self._left :].sum())

    def values_of_sides(self) -> tuple[int, int]:
        """Distinct values left and right."""
        return self._left, len(self.all.x) - self._left

    def near(self, side: int) -> tuple[np.ndarray, np.ndarray]:
        """The 32 distinct values next to the cutoff, the nearest first, and their rows."""
        at = slice(self._left, None) if side else slice(None, self._left)
        step = 1 if side else -1
        return self.all.x[at][::step][:NEAR], self.all.n[at][::step][:NEAR]

    def cells(self, low: float, high: float) -> Iterator[Cells]:
        """Distinct values from ``low`` to ``high``, in one block."""
        yield self.all.part(*np.searchsorted(self.all.x, [low, np.nextafter(high, np.inf)]))


def density_p(x: np.ndarray, cutoff: float) -> float | None:
    """`continuity_p` of a running variable in memory, shape (n,)."""
    return continuity_p(Held.of(x, cutoff))


def continuity_p(values: Values) -> float | None:
    """Jackknife p-value that the density is continuous at the cutoff, by rddensity's defaults; None if it has none.

    The distribution function F̂ is fitted by a polynomial in x − c on each side, triangular kernel; its slope is the
    density f̂. A row enters F̂ of all later ones, so that the jackknife variance is Σᵢ (Σ_{j > i} wⱼ θ(zⱼ))² / (n − 1)²;
    the whole sums to zero, so what precedes a row does for what follows it. Bandwidths are chosen as rddensity's
    ``comb``. It needs each window twice, in ascending order, and nothing else: no sample is drawn at any size.

    Parameters
    ----------
    values : Values
        Of all units, those without an outcome too.

    Raises
    ------
    Refusal
        For fewer than 20 observations or 6 distinct values a side.

    References
    ----------
    Cattaneo, Jansson & Ma (2020), JASA 115; (2018), Stata Journal 18.
    """
    check_counts(*values.rows_of_sides(), values.cutoff, None)
    for side, count in zip(("left", "right"), values.values_of_sides(), strict=True):
        if count < FEWEST_VALUES:
            reason = f"{count} distinct values {side} of the cutoff; the density test needs {FEWEST_VALUES}"
            raise Refusal(reason, "Measure the running variable more finely")
    try:
        with np.errstate(all="ignore"):
            sides = _fit(values, _bandwidths(values), Q)
            jump = sides[1].derivative(1) - sides[0].derivative(1)
            # Not 1 − Φ, which rounds to zero beyond eight standard errors.
            return number(2 * normal_tail(abs(jump) / np.sqrt(sum(_variances(values, sides)))))
    except Unidentified:
        return None


@dataclass(frozen=True)
class _Side:
    """One side's local polynomial of the distribution function: coefficients in z = (x − c) / h, and their weights."""

    h: float
    coefficients: np.ndarray
    inverse: np.ndarray

    def derivative(self, order: int) -> float:
        """The coefficient of (x − c)^order; that of degree 1 is the density."""
        return float(self.coefficients[order] / self.h**order)


def _bandwidths(values: Values) -> tuple[float, float]:
    """MSE-optimal, left and right: the median of the side's own and those for the difference and the sum."""
    widest = max(abs(values.low - values.cutoff), abs(values.high - values.cutoff))
    b, c = _pilots(values, widest)
    third = [side.derivative(P + 1) for side in _fit(values, (b, b), P + 2)]
    variances = _variances(values, _fit(values, (c, c), P))
    # What a cubic leaves in the slope of a quadratic fit under the triangular kernel on 0 … 1.
    powers = np.arange(2 * P + 2)
    moments = 1.0 / (powers + 1) - 1.0 / (powers + 2)
    constant = (inverse(hankel(moments, P)) @ moments[P + 1 : 2 * P + 2])[1]
    bias = [third[0] * constant, third[1] * constant]
    pairs = [(variances[0], bias[0]), (variances[1], bias[1])]
    pairs += [(sum(variances), bias[1] - bias[0]), (sum(variances), bias[1] + bias[0])]
    found = [(c * v / (2 * P * slope**2)) ** (1 / (2 * P + 1)) for v, slope in pairs]
    limits = [abs(values.low - values.cutoff), abs(values.high - values.cutoff), widest, widest]
    least = [_least(values, side, AT_LEAST) for side in (0, 1)]
    floors = [least[0], least[1], max(least), max(least)]
    own = [
        max(min(0.0 if np.isnan(h) else h, limit), floor) for h, limit, floor in zip(found, limits, floors, strict=True)
    ]
    return float(np.median([own[0], own[2], own[3]])), float(np.median([own[1], own[2], own[3]]))


def _pilots(values: Values, widest: float) -> tuple[float, float]:
    """Normal-reference bandwidths for the third derivative and for the density."""
    n, sd = sum(values.rows_of_sides()), values.sd
    z = (values.mean - values.cutoff) / sd
    hermite_4, hermite_2 = z**4 - 6 * z**2 + 3, z**2 - 1
    height = float(normal_density(np.asarray(z)))
    b = sd * ((2 * P + 1) / 4 * PILOT_DERIVATIVE / (hermite_4**2 * height) / n) ** (1 / (2 * P + 5))
    c = sd * (1 / (2 * P) * PILOT_DENSITY / (hermite_2**2 * height) / n) ** (1 / (2 * P + 1))
    found = []
    for h, k in ((b, AT_LEAST + 2), (c, AT_LEAST)):
        found.append(float(max(min(h, widest), *(_least(values, side, k) for side in (0, 1)))))
    return found[0], found[1]


def _least(values: Values, side: int, k: int) -> float:
    """The distance within which a side has k rows and k distinct values (or all that it has)."""
    x, n = values.near(side)
    rows = min(int(np.searchsorted(np.cumsum(n), k)), len(x) - 1)
    return float(abs(x[max(rows, min(k, len(x)) - 1)] - values.cutoff))


def _fit(values: Values, bandwidths: tuple[float, float], order: int) -> tuple[_Side, _Side]:
    """Kernel-weighted least squares of F̂ on 1, z … z^order, a side each: one scan.

    In extended precision where the machine has it: powers of z are nearly collinear, and the test is of the difference
    of two densities that agree to a few digits.
    """
    gram = np.zeros((2, 2 * order + 1), dtype=np.longdouble)
    target, below = np.zeros((2, order + 1), dtype=np.longdouble), [0.0, 0.0]
    for i, z, n in _scan(values, bandwidths):
        # F̂ up to a constant a side, which the intercept takes.
        rank = below[i] + np.cumsum(n)
        below[i] = rank[-1]
        power = n * (1 - np.abs(z.astype(np.longdouble)))
        for k in range(2 * order + 1):
            gram[i, k] += power.sum()
            if k <= order:
                target[i, k] += power @ rank
            power *= z
    rows = sum(values.rows_of_sides()) - 1
    inverses = [_inverse(hankel(own, order)) for own in gram]
    left, right = (
        _Side(h, (inv @ y / rows).astype(float), inv.astype(float))
        for h, inv, y in zip(bandwidths, inverses, target, strict=True)
    )
    return left, right


def _inverse(gram: np.ndarray) -> np.ndarray:
    """Inverse of a positive definite matrix of extended precision, by Gauss and Jordan; NumPy has none."""
    root = np.sqrt(np.diag(gram))
    size = len(gram)
    if not (root > 0).all():
        raise Unidentified
    work = np.hstack([gram / np.outer(root, root), np.eye(size, dtype=gram.dtype)])
    for k in range(size):
        if not work[k, k] > 1e-14:
            raise Unidentified
        work[k] /= work[k, k]
        others = np.arange(size) != k
        work[others] -= np.outer(work[others, k], work[k])
    return work[:, size:] / np.outer(root, root)


def _variances(values: Values, sides: tuple[_Side, _Side]) -> list[float]:
    """Jackknife variances of the densities: one scan."""
    before, total = [0.0, 0.0], [0.0, 0.0]
    for i, z, n in _scan(values, (sides[0].h, sides[1].h)):
        theta = sides[i].inverse[1] / sides[i].h
        own = (1 - np.abs(z)) * (np.vander(z, len(theta), increasing=True) @ theta)
        upto = before[i] + np.cumsum(n * own)
        # Of rows with equal x, the first is taken to come before the others.
        following = upto - n * own + own
        total[i] += float(n @ following**2) / (sum(values.rows_of_sides()) - 1) ** 2
        before[i] = upto[-1]
    return total


def _scan(values: Values, bandwidths: tuple[float, float]) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Side (0 left, 1 right), z and rows of the values within the bandwidths, ascending."""
    c = values.cutoff
    for cells in values.cells(c - bandwidths[0], c + bandwidths[1]):
        at = int(np.searchsorted(cells.x, c))
        for i, part in enumerate((cells.part(0, at), cells.part(at, len(cells.x)))):
            z = (part.x - c) / bandwidths[i]
            inside = np.abs(z) < 1
            if inside.any():
                yield i, z[inside], part.n[inside]
