"""How clusters carry the arms: the check that every estimator makes, and the inference of sums a cluster.

Only the clusters' shares of the arms' weight enter, so rows in memory, streams and engines call the same functions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .errors import Refusal
from .registry import BY_NAME

# One cluster with this share of an arm's weight is all that the arm has.
ALL_OF_THE_ARM = 0.95
UNSEEN = "how much such clusters vary cannot be seen"
# A resample of fewer clusters repeats a few numbers: MacKinnon & Webb 2017.
FEWEST_DRAWN = 5
# Their inference comes from placebos or from a series, and no sums a cluster enter.
WITHOUT_CLUSTERS = ("synthetic_control", "synthetic_did", "its")


@dataclass(frozen=True)
class Arms:
    """How G clusters share the weight of A arms; tuples have one value an arm.

    A cluster counts towards the arm of which it holds the larger share, h (the first where shares are equal).

    Attributes
    ----------
    names : tuple of str
        As a sentence calls the clusters: ``treated``, ``untreated``, ...
    clusters : tuple of int
        Clusters with a row of positive weight in the arm.
    totals : tuple of float
        The arm's weight.
    largest : tuple of float
        The largest share of the arm that one cluster holds.
    sums : ndarray of shape (A, 3)
        Σ h, Σ h² and Σ h⁴ over the clusters that count towards the arm.
    n_clusters : int
    fitted : tuple of int
        Parameters that an arm's clusters fit besides its mean; empty: none. See `small_samples`.
    """

    names: tuple[str, ...]
    clusters: tuple[int, ...]
    totals: tuple[float, ...]
    largest: tuple[float, ...]
    sums: np.ndarray
    n_clusters: int
    fitted: tuple[int, ...] = ()

    @classmethod
    def of(cls, weight: np.ndarray, names: Sequence[str]) -> Arms:
        """Of the weight of each cluster in each arm: shape (G, A)."""
        totals = weight.sum(axis=0)
        shares = weight / np.where(totals > 0, totals, 1.0)
        side, h = shares.argmax(axis=1), shares.max(axis=1)
        sums = np.array([[np.sum(h[side == a] ** p) for p in (1, 2, 4)] for a in range(len(names))])
        return cls(
            tuple(names), tuple((weight > 0).sum(axis=0).tolist()), tuple(totals.tolist()),
            tuple(shares.max(axis=0).tolist()), sums, int((weight > 0).any(axis=1).sum()),
        )  # fmt: skip

    @property
    def df(self) -> float:
        """Of a difference between the arms' means; see `df_of`."""
        return self.df_of(np.ones(len(self.names)))

    def df_of(self, parts: np.ndarray) -> float:
        """Effective degrees of freedom of the cluster jackknife: (Σ V_a)² / Σ V_a² / df_a.

        V_a = Σ h² is arm a's part of the variance of a difference in means if clusters vary alike and their rows
        together, df_a = G_a* − Σ h with G_a* = (Σ h²)² / Σ h⁴ clusters of equal size, of which the arm's mean takes
        one: Satterthwaite's (1946) approximation with the effective number of Carter, Schnepel & Steigerwald (2017).
        With clusters of equal size it is Welch's with equal variances, G − 1 where each cluster holds both arms
        alike. It never falls below one, as no sum of squares of normal variables has fewer.

        Parameters
        ----------
        parts : ndarray of shape (A,)
            What the contrast multiplies the arms' means by, but for the sign; V_a takes its square.
        """
        used = (self.sums[:, 1] > 0) & (parts != 0)
        first, second, fourth = self.sums[used].T
        own = np.maximum(second**2 / fourth - first - self._fitted[used], 1.0)
        variance = parts[used] ** 2 * second
        return float(max(variance.sum() ** 2 / np.sum(variance**2 / own), 1.0))

    @property
    def _fitted(self) -> np.ndarray:
        return np.array(self.fitted or (0,) * len(self.names), dtype=float)

    @property
    def _kept(self) -> np.ndarray:
        """(G_a − 1) / G_a, and less one for each fitted parameter: (G_a − 1)² / (G_a (G_a − 1 − p_a)); shape (A,)."""
        count = np.maximum(np.array(self.clusters, dtype=float), 1.0)
        return (1 - 1 / count) * np.maximum(count - 1, 1.0) / np.maximum(count - 1 - self._fitted, 1.0)

    def inflation(self) -> float:
        """What the standard error of a difference in means grows by where the arms vary alike."""
        count, variance = np.array(self.clusters, dtype=float), self.sums[:, 1]
        grown = self._kept * (count / np.maximum(count - 1, 1.0)) ** 2
        return float(np.sqrt(np.sum(variance * grown) / np.sum(variance)))

    def present(self) -> Arms:
        """The arms with any weight."""
        at = [j for j, total in enumerate(self.totals) if total > 0]
        return Arms(
            tuple(self.names[j] for j in at), tuple(self.clusters[j] for j in at), tuple(self.totals[j] for j in at),
            tuple(self.largest[j] for j in at), self.sums[at], self.n_clusters,
            tuple(self.fitted[j] for j in at if self.fitted),
        )  # fmt: skip

    def factors(self, weight: np.ndarray) -> np.ndarray:
        """What a cluster's sum of influence values is multiplied by before it is squared: shape (G,).

        √((G_a − 1) / G_a) / (1 − h): leaving out a cluster that holds the share h of its arm moves a mean by its sum
        over 1 − h (the delete-one jackknife by strata; Wolter 2007, section 4.5; MacKinnon, Nielsen & Webb 2023).

        Parameters
        ----------
        weight : ndarray of shape (G, A)
        """
        totals = np.array(self.totals)
        shares = weight / np.where(totals > 0, totals, 1.0)
        side, h = shares.argmax(axis=1), shares.max(axis=1)
        # All of an arm in one cluster: no number, and `check` refuses.
        return np.sqrt(self._kept[side]) / np.where(h < 1, 1 - h, np.nan)

    def sql(self, columns: Sequence[str]) -> str:
        """The square of `factors` as SQL that every engine reads, of the columns with a cluster's weight in an arm."""
        shares = [f"({name} / {float(total):.17e})" for name, total in zip(columns, self.totals, strict=True)]
        terms = [
            f"{kept:.17e} / ((1.0e0 - {h}) * (1.0e0 - {h}))"
            for h, kept in zip(shares, self._kept.tolist(), strict=True)
        ]
        if len(terms) == 1:
            return terms[0]
        first, second = shares
        return f"(case when {first} >= {second} then {terms[0]} else {terms[1]} end)"

    def check(self, role: str, mend: str) -> None:
        """Refuse an arm that lies in one cluster, by number or by weight.

        Raises
        ------
        Refusal
            With status ``not_identified``: how such clusters vary cannot be seen.
        """
        if self.n_clusters == 1:
            return  # told by the estimators, whatever the arms
        if len(self.names) == 1:
            if self.clusters[0] > 1 and self.largest[0] >= ALL_OF_THE_ARM:
                reason = (
                    f"one of {self.n_clusters} clusters of '{role}' holds {100 * self.largest[0]:.3g} % of the weight"
                )
                raise Refusal(f"{reason}: how clusters vary cannot be seen", mend, "not_identified")
            return
        for j in range(len(self.names)):
            self.check_arm(j, self.names[j], role, mend)

    def check_arm(self, j: int, name: str, role: str, mend: str) -> None:
        """Refuse the j-th arm where it lies in one cluster; ``name`` is what a sentence calls its clusters."""
        count, largest, reason = self.clusters[j], self.largest[j], None
        if count == 1:
            reason = f"1 of {self.n_clusters} clusters of '{role}' is {name}"
        elif count and largest >= ALL_OF_THE_ARM:
            share = f"{100 * largest:.3g} % of the weight"
            reason = f"one of the {count} clusters of '{role}' that are {name} holds {share} of these rows"
        if reason is not None:
            raise Refusal(f"{reason}: {UNSEEN}", mend, "not_identified")

    def check_draws(self, role: str, mend: str) -> None:
        """Refuse a bootstrap of clusters where an arm has fewer than five.

        Raises
        ------
        Refusal
            With status ``not_identified``.
        """
        for name, count in zip(self.names, self.clusters, strict=True):
            if 0 < count < FEWEST_DRAWN:
                reason = f"{count} of {self.n_clusters} clusters of '{role}' are {name}: draws of clusters need "
                raise Refusal(f"{reason}{FEWEST_DRAWN} an arm", mend, "not_identified")


@dataclass(frozen=True)
class Clustering:
    """What sums a cluster are made with.

    Attributes
    ----------
    codes : ndarray of shape (n,), int
        The cluster of each row, 0 … G − 1.
    factors : ndarray of shape (G,)
        By which a cluster's sum is multiplied.
    df : float or None
        Degrees of freedom of Student's t; None for the normal.
    """

    codes: np.ndarray
    factors: np.ndarray
    df: float | None

    def sums(self, psi: np.ndarray) -> np.ndarray:
        """Influence values added up by cluster, times its factor: shape (n, …) to (G, …)."""
        out = np.zeros((len(self.factors), *psi.shape[1:]))
        np.add.at(out, self.codes, psi)
        return out * self.factors.reshape(-1, *[1] * (psi.ndim - 1))


def table(cluster: np.ndarray, arm: np.ndarray, w: np.ndarray, arms: int) -> tuple[np.ndarray, np.ndarray]:
    """The cluster of each row, shape (n,), and the weight of each cluster in each arm, shape (G, A).

    Parameters
    ----------
    cluster, arm, w : ndarray of shape (n,)
        Labels, the number of the row's arm (0 … A − 1; -1 for none), and weights.
    arms : int
    """
    codes = np.unique(cluster.astype(str) if cluster.dtype == object else cluster, return_inverse=True)[1]
    weight = np.zeros((int(codes.max()) + 1, arms))
    known = arm >= 0
    np.add.at(weight, (codes[known], arm[known]), w[known])
    return codes, weight


def clustering(codes: np.ndarray, weight: np.ndarray, names: Sequence[str], variance: str) -> Clustering:
    """The clusters' inference from `table`: ``jackknife``, or ``sandwich``, G / (G − 1) times and normal."""
    groups = len(weight)
    if variance == "sandwich":
        return Clustering(codes, np.full(groups, np.sqrt(groups / (groups - 1))), None)
    arms = Arms.of(weight, names)
    return Clustering(codes, arms.factors(weight), arms.df)


@dataclass(frozen=True)
class By:
    """What makes the arms.

    ``column`` is 1 in the first arm and 0 in the second, or with ``cutoff`` lies at or above it and below; None: all
    rows are one arm. Where ``sample`` names a column, the rows with 0 in it (a target population) are in no arm.
    """

    names: tuple[str, ...] = ("in the sample",)
    column: str | None = None
    cutoff: float | None = None
    sample: str | None = None

    def codes(self, columns: Mapping[str, np.ndarray], n: int) -> np.ndarray:
        """The number of each row's arm, -1 for none: shape (n,)."""
        if self.column is None:
            return np.zeros(n, dtype=np.int64)
        values = columns[self.column]
        second = values == 0 if self.cutoff is None else values < self.cutoff
        own = np.where(np.isnan(values), -1, second)
        return np.where(columns[self.sample] == 0, -1, own) if self.sample else own

    def sql(self) -> str:
        """The same as SQL; studies with a target population are not streamed."""
        if self.column is None:
            return "0"
        name = '"' + self.column.replace('"', '""') + '"'
        second = f"{name}::double = 0" if self.cutoff is None else f"{name} < {float(self.cutoff)!r}"
        return f"(case when {second} then 1 else 0 end)"


def arms_of(problem: Any) -> tuple[By, ...]:
    """The arms whose clusters an estimator compares; the first are those of its influence values.

    A single binary instrument, a binary treatment that the estimator reads, the sides of a cutoff; otherwise all rows
    are one. `did` and `twfe` count cohorts in their own panels.
    """
    entry, study = BY_NAME[problem.estimator], problem.study
    found = []
    if "instruments" in entry.needs:
        own = problem.options.own.get("instruments")
        names = study.instruments if own is None else tuple(own)
        if len(names) == 1 and problem.is_binary(names[0]):
            found.append(By(("encouraged", "not encouraged"), names[0]))
    if "running" in entry.needs:
        found.append(By(("at or above the cutoff", "below the cutoff"), study.running, study.cutoff))
    if entry.treatment is not None and problem.kind == "binary":
        if entry.reads == "populations":
            found.append(By(("treated", "untreated"), study.treatment, sample=study.sample))
        else:
            found.append(By(("treated", "untreated"), study.treatment))
    return tuple(found) or (By(),)


def check(problem: Any, keep: np.ndarray | None = None) -> None:
    """Refuse a study whose clusters leave an arm to one of them; see `Arms.check`.

    Parameters
    ----------
    problem : Problem or Streamed
    keep : ndarray of shape (n,), bool, optional
        The rows that are used, of rows in memory.

    Raises
    ------
    Refusal
        With status ``not_identified``, naming the counts.
    """
    if problem.study.cluster is None or problem.estimator in WITHOUT_CLUSTERS:
        return
    for by in arms_of(problem):
        arms = problem.arms(by) if keep is None else problem.arms(by, keep)
        arms.check(problem.study.cluster, mend(problem))


def check_draws(problem: Any) -> None:
    """Refuse a bootstrap of clusters where an arm has fewer than five."""
    if problem.study.cluster is not None:
        mended = "Cluster at a lower level if treatment was assigned there, or read ipw or ope, which do not resample"
        problem.arms(arms_of(problem)[0]).check_draws(problem.study.cluster, mended)


def mend(problem: Any) -> str:
    """What can be done about an arm of few clusters."""
    if problem.study.design == "experiment":
        return "Cluster at a lower level if that was drawn by lot, or draw more clusters into that arm"
    return "Cluster at a lower level if treatment was assigned there, or add clusters to that arm"
