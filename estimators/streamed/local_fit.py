"""`estimators.discontinuity.local.local_fit` by scans, for rows that stay in DuckDB."""

from __future__ import annotations

from dataclasses import dataclass

from ..discontinuity import local
from ..discontinuity.bandwidth import Pair, optimal
from ..discontinuity.corrected import corrected
from ..discontinuity.local import LocalFit
from ..errors import Refusal
from ..scan.stream import Column, quoted
from .order_statistics import real
from .running import Running
from .windows import Clusters, Variables, Windows


@dataclass(frozen=True)
class Fitted:
    """A fit with what a figure draws of it: the sums at its bandwidth, and the outcome's mean and scale in them."""

    fit: LocalFit
    sums: Pair
    mean: float
    sd: float


def streamed_fit(
    running: Running, y: Column, order: int, kernel: str, bandwidth: float | None = None,
    treatment: Column | None = None, covariates: tuple[Column, ...] = (), clusters: Clusters | None = None,
) -> Fitted:  # fmt: skip
    """The contrast right − left of local polynomials, with the numbers of the in-memory fit.

    Three steps of scans choose the bandwidth, one more fits: of sums of powers in the windows, and of the residuals of
    nearest neighbours (or the scores of clusters). Rows are sorted once by DuckDB, in a temporary table; a variable of
    few distinct values is grouped instead, and a declared bandwidth leaves only its window to be sorted. Memory in
    Python is that of a block of rows, of 131,072 cells at most, or of G numbers a form with clusters.

    Parameters
    ----------
    running : Running
        The rows that are used, with the columns that the others read.
    y : Column
    order : int
    kernel : triangular, epanechnikov or uniform
    bandwidth : float, optional
    treatment : Column, optional
        Of a fuzzy design.
    covariates : tuple of Column
    clusters : Clusters, optional

    Raises
    ------
    Refusal
        As `local.local_fit`.
    """
    local.check_bandwidth(bandwidth)
    near = running if bandwidth is None else running.within(bandwidth)
    local.check_counts(near.left.rows, near.right.rows, running.cutoff, bandwidth)
    local.check_values(*running.values_of_sides(), order)
    constant_sides = _look(running, y, treatment, clusters)
    variables = Variables.of(running, (y, treatment) if treatment else (y,), covariates)
    windows = Windows.of(near, variables, kernel, treatment is not None, clusters, ordered=bandwidth is None)
    if bandwidth is None:
        plain = windows.sharp() if any(constant_sides) else windows
        h, b = optimal(plain, running.spread(), order, kernel)
    else:
        h = b = bandwidth
    fit, sums = corrected(windows, h, b, order)
    return Fitted(fit, sums, float(variables.mean[0]), float(variables.sd[0]))


def _look(running: Running, y: Column, treatment: Column | None, clusters: Clusters | None) -> list[bool]:
    """Whether the treatment is the same in every row of each side; refuses what no polynomial can be fitted to."""
    sides = [f"{running.x.sql} < {real(running.cutoff)}", f"{running.x.sql} >= {real(running.cutoff)}"]
    t, k = treatment.sql if treatment else "0", clusters.sql if clusters else "0"
    asked = [f"min({y.sql}) < max({y.sql})"]
    asked += [f"min({k}) filter (where {side}) < max({k}) filter (where {side})" for side in sides]
    asked += [f"{f}({t}) filter (where {side})" for side in sides for f in ("min", "max")]
    varies, left, right, *ends = running.source.one(", ".join(asked))
    if not varies:
        raise Refusal(*local.CONSTANT)
    if clusters is not None:
        local.check_clusters(left, right)
    constant = [ends[0] == ends[1], ends[2] == ends[3]]
    if treatment is not None and all(constant) and abs(ends[0] - ends[2]) < local.JUST_NOTHING:
        raise Refusal(*local.NO_FIRST_STAGE)
    return constant if treatment is not None else [False]


def raw(name: str) -> Column:
    """A column of the units as a number."""
    return Column(name, f"{quoted(name)}::double")
