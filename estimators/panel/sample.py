"""The units that a difference-in-differences compares, and every reason for which they cannot be compared."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..clusters import Arms, Clustering, clustering, table
from ..errors import Refusal
from ..inference import covariance
from ..problem import Problem
from ..small_samples import FEW_UNITS, of_units
from .cohorts import treated_cohorts
from .frame import Panel, by_unit, read_panel
from .left_out import check_treatment, missing_units, with_left_out

FEWEST_PRE_PERIODS = 3  # of a synthetic control


class Compared(Protocol):
    """What inference and rows ask of the units, wherever they are: in memory (`Sample`) or streamed."""

    @property
    def periods(self) -> np.ndarray:
        """Periods of the panel, ascending: shape (T,)."""

    @property
    def n(self) -> int:
        """Units."""

    @property
    def n_clusters(self) -> int | None:
        """Clusters among the units, or None."""

    @property
    def n_incomplete(self) -> int:
        """Units left out because they miss a period."""

    @property
    def n_always_treated(self) -> int:
        """Complete units left out because they are treated in the first period."""

    @property
    def sizes(self) -> Mapping[float, int]:
        """Units of each cohort, in ascending order."""

    def size(self, cohorts: Iterable[float]) -> int:
        """Units of some cohorts."""

    def covariance(self, psi: np.ndarray) -> np.ndarray:
        """Covariance of estimates from their influence values, a column each."""

    def standard_error(self, psi: np.ndarray) -> float:
        """Standard error of one estimate from its influence values."""

    def reference_df(self, treated: Iterable[float], controls: Iterable[float] | None = None) -> float | None:
        """Degrees of freedom of Student's t where some cohorts are compared; None for the normal."""


@dataclass(frozen=True)
class Sample:
    """A balanced panel of units untreated in its first period.

    Attributes
    ----------
    periods : ndarray of shape (T,)
    y : ndarray of shape (n, T)
    x : ndarray of shape (n, T, k)
        Covariates in each period; k may be 0.
    names : tuple of k str
    cohort : ndarray of shape (n,)
        First treated period, infinity for never.
    treated_cohorts : tuple of float
        Cohorts with an effect to estimate, ascending.
    cluster : Clustering or None
        Of the units, with cohorts as arms.
    arms : Arms or None
        How clusters carry the cohorts, in ascending order.
    n_incomplete, n_always_treated : int
        Units left out because they miss a period, or were treated in the first one.
    by_unit : bool
        Whether each unit is its own cluster: of a small sample without clusters (`small_samples`).
    """

    periods: np.ndarray
    y: np.ndarray
    x: np.ndarray
    names: tuple[str, ...]
    cohort: np.ndarray
    treated_cohorts: tuple[float, ...]
    cluster: Clustering | None
    arms: Arms | None
    n_incomplete: int
    n_always_treated: int
    by_unit: bool = False

    @property
    def n(self) -> int:
        """Units."""
        return len(self.cohort)

    @property
    def n_treated(self) -> int:
        """Units of the treated cohorts."""
        return int(np.isin(self.cohort, self.treated_cohorts).sum())

    def plain(self) -> Sample:
        """Without a small sample's size: the test of trends has its own law."""
        return dataclasses.replace(self, cluster=None, arms=None, by_unit=False) if self.by_unit else self

    @property
    def n_clusters(self) -> int | None:
        """Clusters among the units, or None."""
        return None if self.cluster is None or self.by_unit else len(self.cluster.factors)

    @property
    def sizes(self) -> dict[float, int]:
        """Units of each cohort, in ascending order."""
        return sizes(self.cohort)

    def size(self, cohorts: Iterable[float]) -> int:
        """Units of some cohorts."""
        return int(np.isin(self.cohort, list(cohorts)).sum())

    def covariance(self, psi: np.ndarray) -> np.ndarray:
        """Covariance of estimates from their influence values of shape (n, k)."""
        return covariance(psi, self.cluster)

    def standard_error(self, psi: np.ndarray) -> float:
        """Standard error of one estimate from its influence values of shape (n,)."""
        return float(np.sqrt(self.covariance(psi[:, None])[0, 0]))

    def reference_df(self, treated: Iterable[float], controls: Iterable[float] | None = None) -> float | None:
        """Degrees of freedom of Student's t where some cohorts are compared; None for the normal."""
        if self.arms is None or self.cluster is None or self.cluster.df is None:
            return None
        return cohorts_df(self.arms, self.sizes, treated, controls)


def take_sample(problem: Problem) -> Sample:
    """The units that can be compared.

    Units that miss a period (a missing value in any column of the study makes one) are left out and counted, for
    every effect compares the same units over time; units treated in the first period have no untreated outcome and
    are left out and counted, and so are cohorts of one unit, whose effects are not estimated. A cohort beyond the last
    period counts as never treated. Where
    nobody is never treated and not-yet-treated units are the controls, the last cohort has no controls of its
    own: it only serves as one.

    Raises
    ------
    Refusal
        For a single period, no complete unit, no treated cohort, no controls, a cluster that cuts through units or
        fewer than two clusters, a treatment that contradicts the cohort; with status ``not_identified`` for fewer than
        five treated units in cohorts of two or more units and clusters, or a single control, whose sampling variation
        cannot be seen. Names the units that were left out before, and why.
    """
    panel = read_panel(problem)
    check_treatment(problem)
    complete, early = panel.complete, panel.cohort <= panel.periods[0]
    keep = complete & ~early
    cohort = panel.cohort[keep]
    arms, clusters = _clusters(problem, panel, keep) if keep.any() else (None, None)
    try:
        check_panel(len(panel.periods), int(keep.sum()), int((~complete).sum()), int(early.sum()))
        treated = treated_cohorts(sizes(cohort), problem.own("control_group"), clusters_of(arms, sizes(cohort)))
    except Refusal as refusal:
        raise with_left_out(refusal, *missing_units(problem)) from None
    x = problem.matrix(problem.covariate_terms())
    if arms is not None:
        check_cohorts(arms, sizes(cohort), treated, panel.periods, str(problem.study.cluster))
    units = None
    if problem.cluster is None:
        units = few_units(sizes(cohort), treated, len(x.names), problem.options.cluster_variance)
    if units is not None:
        arm = np.unique(cohort, return_inverse=True)[1]
        arms, clusters = units, Clustering(np.arange(len(cohort)), factors_of_units(units)[arm], units.df)
    return Sample(
        panel.periods, panel.y[keep], x.values[panel.row[keep]], x.names, cohort, treated,
        clusters, arms, int((~complete).sum()), int((complete & early).sum()), units is not None,
    )  # fmt: skip


def few_units(sizes: Mapping[float, int], treated: Sequence[float], columns: int, variance: str) -> Arms | None:
    """Cohorts as arms of single units, where few units are treated or few are controls; None otherwise.

    A sample is small as a whole, so that all its terms are of one covariance: a cohort of few units among many treated
    ones changes nothing. The controls fit ``columns`` parameters besides their mean. ``variance: sandwich`` asks for
    none.

    Raises
    ------
    Refusal
        See `small_samples.of_units`.
    """
    ours = sum(sizes[g] for g in treated)
    if variance != "jackknife" or min(ours, sum(sizes.values()) - ours) >= FEW_UNITS:
        return None
    count = np.array(list(sizes.values()), dtype=float)
    names = ["treated" if g in treated else "controls" for g in sizes]
    # Where controls are too few for their regression its own refusal tells the cell.
    fitted = [0 if g in treated else max(min(columns, size - 2), 0) for g, size in sizes.items()]
    sums = np.column_stack([np.ones(len(count)), 1 / count, 1 / count**3])
    return of_units(names, list(sizes.values()), count, sums, 1 / count, fitted)


def factors_of_units(units: Arms) -> np.ndarray:
    """What a unit's influence values are multiplied by, by its cohort: shape (C,). A single unit has no effect."""
    return np.nan_to_num(units.factors(np.eye(len(units.totals))), nan=1.0)


def sizes(cohort: np.ndarray) -> dict[float, int]:
    """Units of each cohort, in ascending order."""
    values, counts = np.unique(cohort, return_counts=True)
    return {float(g): int(count) for g, count in zip(values, counts, strict=True)}


def check_panel(n_periods: int, n: int, n_incomplete: int, n_early: int) -> None:
    """Refuse a panel of one period, or one of which no unit is left."""
    if n_periods < 2:
        raise Refusal("the panel has a single period", "Add periods before and after treatment")
    if not n:
        raise Refusal(
            f"no unit is left: {n_incomplete} miss a period, {n_early} are treated from the start",
            "Keep units that are seen in every period and untreated in the first",
        )


def _clusters(problem: Problem, panel: Panel, keep: np.ndarray) -> tuple[Arms | None, Clustering | None]:
    if problem.cluster is None:
        return None, None
    code = np.unique(problem.columns[problem.study.unit], return_inverse=True)[1]
    labels = by_unit(problem.cluster.astype(str), code, panel.units, str(problem.study.cluster))[keep]
    return clustered(labels, panel.cohort[keep], problem.options.cluster_variance)


def clustered(labels: np.ndarray, cohort: np.ndarray, variance: str) -> tuple[Arms, Clustering]:
    """How clusters carry the cohorts, and their inference.

    Parameters
    ----------
    labels, cohort : ndarray of shape (n,)
        Of the units.
    variance : jackknife or sandwich
    """
    cohorts, arm = np.unique(cohort, return_inverse=True)
    codes, weight = table(labels, arm, np.ones(len(labels)), len(cohorts))
    check_clusters(len(weight))
    names = [str(g) for g in cohorts.tolist()]
    return Arms.of(weight, names), clustering(codes, weight, names, variance)


def clusters_of(arms: Arms | None, sizes: Mapping[float, int]) -> dict[float, int] | None:
    """Clusters of each cohort; None without clusters."""
    return None if arms is None else dict(zip(sizes, arms.clusters, strict=True))


def check_clusters(n_clusters: int) -> None:
    """Refuse a single cluster."""
    if n_clusters < 2:
        raise Refusal("all units are in one cluster", "Cluster at a level with several groups")


def check_cohorts(
    arms: Arms, sizes: Mapping[float, int], treated: Sequence[float], periods: np.ndarray, role: str
) -> None:
    """Refuse where a cohort with an effect, or the only one that is compared with it, lies in one cluster.

    Parameters
    ----------
    arms : Arms
        Of the cohorts.
    sizes : mapping of cohort to units
        In the order of the arms, infinity for never treated.
    treated : sequence of float
        Cohorts with an effect to estimate.
    periods : ndarray of shape (T,)
    role : str
        The column of the clusters.
    """
    controls = [g for g in sizes if g not in treated]
    mend = "Cluster at a lower level if treatment was assigned there"
    # A synthetic control asks for one start, three periods before it and two donors; it averages over clusters.
    if len(treated) == 1 and np.sum(periods < treated[0]) >= FEWEST_PRE_PERIODS and controls == [np.inf]:
        mend = f"Read synthetic_control, or c{mend[1:]}"
    elif len(treated) > 1:
        mend += ", or leave such cohorts out"
    for j, g in enumerate(sizes):
        if g in treated:
            arms.check_arm(j, "ever treated" if len(treated) == 1 else f"treated from {g:g} on", role, mend)
        elif len(controls) == 1:
            arms.check_arm(j, "never treated" if np.isinf(g) else "not yet treated", role, mend)


def cohorts_df(
    arms: Arms, sizes: Mapping[float, int], treated: Iterable[float], controls: Iterable[float] | None
) -> float:
    """Effective degrees of freedom of a contrast of some cohorts' units with their controls' (`Arms.df_of`).

    Without ``controls``: the never treated, or where there are none all other cohorts.
    """
    ours = set(treated)
    others = {g for g in sizes if g not in ours}
    theirs = (others & {np.inf} or others) if controls is None else set(controls)
    parts = np.zeros(len(sizes))
    for side in (ours, theirs):
        total = sum(sizes[g] for g in side)
        parts += [sizes[g] / total if g in side else 0.0 for g in sizes]
    return arms.df_of(parts)
