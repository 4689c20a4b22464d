"""The units that a difference-in-differences compares, and every reason for which they cannot be compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..errors import Refusal
from ..inference import covariance
from ..problem import Problem
from .frame import Panel, by_unit, label, read_panel
from .left_out import check_treatment, missing_units, with_left_out

FEWEST_TREATED = 5


class Compared(Protocol):
    """What inference and rows ask of the units, wherever they are: in memory (`Sample`) or streamed."""

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
    cluster : ndarray of shape (n,), int, or None
    n_incomplete, n_always_treated : int
        Units left out because they miss a period, or were treated in the first one.
    """

    periods: np.ndarray
    y: np.ndarray
    x: np.ndarray
    names: tuple[str, ...]
    cohort: np.ndarray
    treated_cohorts: tuple[float, ...]
    cluster: np.ndarray | None
    n_incomplete: int
    n_always_treated: int

    @property
    def n(self) -> int:
        """Units."""
        return len(self.cohort)

    @property
    def n_treated(self) -> int:
        """Units of the treated cohorts."""
        return int(np.isin(self.cohort, self.treated_cohorts).sum())

    @property
    def n_clusters(self) -> int | None:
        """Clusters among the units, or None."""
        return None if self.cluster is None else len(np.unique(self.cluster))

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
        five treated units in cohorts of two or more, or a single control, whose sampling variation cannot be seen.
        Names the units that were left out before, and why.
    """
    panel = read_panel(problem)
    check_treatment(problem)
    complete, early = panel.complete, panel.cohort <= panel.periods[0]
    keep = complete & ~early
    cohort = panel.cohort[keep]
    try:
        check_panel(len(panel.periods), int(keep.sum()), int((~complete).sum()), int(early.sum()))
        treated = treated_cohorts(sizes(cohort), problem.own("control_group"))
    except Refusal as refusal:
        raise with_left_out(refusal, *missing_units(problem)) from None
    x = problem.matrix(problem.covariate_terms())
    return Sample(
        panel.periods, panel.y[keep], x.values[panel.row[keep]], x.names, cohort, treated,
        _cluster(problem, panel, keep), int((~complete).sum()), int((complete & early).sum()),
    )  # fmt: skip


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


def treated_cohorts(sizes: Mapping[float, int], control_group: str) -> tuple[float, ...]:
    """Cohorts with an effect to estimate, ascending; refuses as `take_sample` says.

    Parameters
    ----------
    sizes : mapping of cohort to units
        In ascending order, infinity for never treated.
    control_group : never_treated or not_yet_treated
    """
    groups = [g for g in sizes if np.isfinite(g)]
    if not groups:
        raise Refusal(
            "no unit becomes treated after the first period", "Check the cohort: first treated period, or NULL"
        )
    if len(groups) == len(sizes):
        if control_group == "never_treated":
            raise Refusal(
                "no control units: every unit that is compared is treated by the last period",
                "Set `options: {did: {control_group: not_yet_treated}}`",
            )
        if len(groups) == 1:
            raise Refusal("no control units: all are treated in the same period", "Add units that are treated later")
        groups = groups[:-1]
    single = [g for g in groups if sizes[g] == 1]
    groups = [g for g in groups if sizes[g] > 1]
    _identified({g: sizes[g] for g in groups}, single, sum(sizes.values()))
    return tuple(groups)


def _identified(treated: Mapping[float, int], single: list[float], n: int) -> None:
    """Refuse where a group is too small for its variation to be seen; cohorts of one unit are left out before."""
    total = sum(treated.values())
    alone = f"; cohorts of one unit are left out ({', '.join(map(label, single[:10]))})" if single else ""
    mend = "Read synthetic_control, or add treated units"
    if total < FEWEST_TREATED:
        if not total and len(single) == 1:
            raise Refusal(f"1 treated unit: standard errors need at least {FEWEST_TREATED}", mend, "not_identified")
        where = " in cohorts of two or more" if single else ""
        reason = f"{total} treated unit{'s' * (total != 1)}{where}: standard errors need at least {FEWEST_TREATED}"
        raise Refusal(reason + alone, mend, "not_identified")
    if n - total < 2:
        raise Refusal("a single control unit: its sampling variation cannot be seen", "Add controls", "not_identified")


def _cluster(problem: Problem, panel: Panel, keep: np.ndarray) -> np.ndarray | None:
    if problem.cluster is None:
        return None
    code = np.unique(problem.columns[problem.study.unit], return_inverse=True)[1]
    labels = by_unit(problem.cluster.astype(str), code, panel.units, str(problem.study.cluster))[keep]
    codes = np.unique(labels, return_inverse=True)[1]
    check_clusters(int(codes.max()) + 1)
    return codes


def check_clusters(n_clusters: int) -> None:
    """Refuse a single cluster."""
    if n_clusters < 2:
        raise Refusal("all units are in one cluster", "Cluster at a level with several groups")
