"""Problem: what one run of one estimator is handed: the study, its options, and complete rows of numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import small_samples
from .clusters import Arms, By, Clustering, arms_of, clustering, table
from .contracts import treatment_kind
from .errors import Refusal
from .folds import LONGEST, md5_folds
from .learned import learned_nuisances, learned_propensity
from .nuisance import BinaryFit, crossfit_propensity, fit_pooling, outcome_regressions
from .rare import CROSSFITTED, OF_ALL_ROWS, Pooled
from .registry import BY_NAME
from .study import Options, Study
from .terms import Matrix, matrix
from .warehouse import Columns, data_hash


@dataclass(frozen=True)
class Nuisances:
    """Cross-fitted nuisance functions of each unit, all of shape (n,): fold, e(X), E[Y|0,X], E[Y|1,X]."""

    fold: np.ndarray
    propensity: np.ndarray
    mu0: np.ndarray
    mu1: np.ndarray


@dataclass(frozen=True)
class Problem:
    """One run of one estimator.

    Attributes
    ----------
    study : Study
    estimator, specification : str
    options : Options
    columns : mapping of name to ndarray of shape (n,)
        Complete rows in the order of the unit.
    cache : dict
        Shared by the runs of one study that read the same rows, so that nothing is fitted twice.
    edges : mapping of ``source`` and ``target`` to ndarray of shape (edges,), optional
        Labels of units, where the study declares a network.
    views : dict
        The rows and the cache of each kind of estimator (`Estimator.reads`), shared by all runs.
    gaps : mapping of name to ndarray of shape (m,), optional
        The rows with those that lack an outcome, a treatment or a covariate (NaN), where ``missing: drop`` has left
        such rows out of ``columns``: for estimators that read ``panel_with_gaps``.
    given : mapping of name to ndarray of shape (m,), optional
        The rows as they were read, with those that lack a value: a further outcome has complete rows of its own.
    weightless : int
        Rows of weight zero, which are not among the columns (`estimators.contracts.weighing`).
    idle : mapping of name to ndarray of shape (weightless,), optional
        Those rows, where a network is declared: there they are still neighbours (`estimators.interference.places`).
    """

    study: Study
    estimator: str
    specification: str
    options: Options
    columns: Columns
    cache: dict[Hashable, Any] = field(default_factory=dict)
    edges: Columns | None = None
    views: dict[str, tuple[Columns, dict[Hashable, Any]]] = field(default_factory=dict)
    gaps: Columns | None = None
    given: Columns | None = None
    weightless: int = 0
    idle: Columns | None = None

    def for_run(self, estimator: str, specification: str) -> Problem:
        """The rows that another estimator reads, and the cache of all that read them."""
        columns, cache = self._view(BY_NAME[estimator].reads)
        return dataclasses.replace(
            self, estimator=estimator, specification=specification,
            options=self.study.options_for(estimator, specification), columns=columns, cache=cache,
        )  # fmt: skip

    def _view(self, reads: str) -> tuple[Columns, dict[Hashable, Any]]:
        every = self.views.setdefault("all", (self.columns, self.cache))
        if reads == "panel_with_gaps" and self.gaps is None:
            reads = "panel"
        if reads not in self.views:
            rows = self.gaps if reads == "panel_with_gaps" and self.gaps is not None else every[0]
            keep = rows_read(self.study, rows, reads)
            same = rows if keep is None else {k: v[keep] for k, v in rows.items()}
            self.views[reads] = every if same is every[0] else (same, {})
        return self.views[reads]

    @property
    def n(self) -> int:
        """Rows."""
        return len(self.columns[self.study.unit])

    @property
    def kind(self) -> str | None:
        """``binary``, ``continuous`` or None without a treatment."""
        if "kind" not in self.cache:
            self.cache["kind"] = treatment_kind(self.study, self.columns)
        return self.cache["kind"]

    @property
    def y(self) -> np.ndarray:
        """Outcome, shape (n,)."""
        return self.columns[self.study.outcome]

    @property
    def t(self) -> np.ndarray:
        """Treatment, shape (n,)."""
        assert self.study.treatment is not None
        return self.columns[self.study.treatment]

    @property
    def weights(self) -> np.ndarray | None:
        """Declared sampling weights, shape (n,), or None."""
        return self.columns[self.study.weight] if self.study.weight else None

    @property
    def w(self) -> np.ndarray:
        """Sampling weights, ones where none are declared."""
        return np.ones(self.n) if self.weights is None else self.weights

    @property
    def cluster(self) -> np.ndarray | None:
        """Cluster labels, shape (n,), or None."""
        return self.columns[self.study.cluster] if self.study.cluster else None

    @property
    def n_clusters(self) -> int | None:
        """How many clusters."""
        return None if self.cluster is None else len(np.unique(self.cluster.astype(str)))

    def is_binary(self, name: str) -> bool:
        """Whether a column holds zeros and ones only."""
        values = self.columns.get(name)
        return values is not None and values.dtype != object and set(np.unique(values).tolist()) <= {0.0, 1.0}

    def arms(self, by: By, keep: np.ndarray | None = None) -> Arms:
        """How the declared clusters share the weight of the arms; ``keep``: of these rows."""
        return Arms.of(self._clusters(by)[1] if keep is None else self._clusters_of(by, keep)[1], by.names)

    def clustering(self, keep: np.ndarray | None = None) -> Clustering | None:
        """What sums of influence values a cluster are made with, of single units in a small sample; else None.

        ``keep``: of these rows.
        """
        if self.cluster is None:
            return self._units() if keep is None and self.estimator in small_samples.SUMMED else None
        by, variance = arms_of(self)[0], self.options.cluster_variance
        if keep is not None:
            return clustering(*self._clusters_of(by, keep), by.names, variance)
        key = ("clustering", by, variance)
        if key not in self.cache:
            self.cache[key] = clustering(*self._clusters(by), by.names, variance)
        return self.cache[key]

    def _clusters(self, by: By) -> tuple[np.ndarray, np.ndarray]:
        """The cluster of each row, and the weight of each cluster in each arm: shapes (n,), (G, A)."""
        key = ("clusters", by)
        if key not in self.cache:
            self.cache[key] = self._clusters_of(by, np.ones(self.n, dtype=bool))
        return self.cache[key]

    def _clusters_of(self, by: By, keep: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        assert self.cluster is not None
        arm = by.codes(self.columns, self.n)
        return table(self.cluster[keep], arm[keep], self.w[keep], len(by.names))

    def small_sample(self) -> Arms | None:
        """The arms where one of them has few units and no clusters are declared; see `small_samples`."""
        if not small_samples.applies(self):
            return None
        by, model = arms_of(self)[0], small_samples.model_of(self)
        fitted = small_samples.fitted(self, int(np.sum(np.ptp(self.matrix(model).values, axis=0) > 0)))
        key = ("small sample", by, fitted)
        if key not in self.cache:
            own = by.codes(self.columns, self.n)
            self.cache[key] = small_samples.of_rows(by, own, self.w, (fitted,) * len(by.names))
        return self.cache[key]

    def _units(self) -> Clustering | None:
        arms, by = self.small_sample(), arms_of(self)[0]
        return None if arms is None else small_samples.as_clusters(arms, by.codes(self.columns, self.n), self.w)

    def reference_df(self) -> float | None:
        """Degrees of freedom of Student's t for influence values: of clusters or few units, None for the normal."""
        small = self.small_sample()
        if small is not None:
            return small.df
        found = self.clustering()
        return None if found is None else found.df

    def data_hash(self) -> str:
        """SHA-256 of the columns, taken once: it stamps every row and tells whether scores are of these data."""
        columns, cache = self.views.setdefault("all", (self.columns, self.cache))
        if "data_hash" not in cache:
            cache["data_hash"] = data_hash(columns)
        return cache["data_hash"]

    def own(self, option: str) -> Any:
        """One of the estimator's own options."""
        return self.options.own[option]

    def covariate_terms(self) -> tuple[str, ...]:
        """The estimator's own ``covariates`` option, or the study's covariates."""
        own = self.options.own.get("covariates")
        return self.study.covariates if own is None else tuple(own)

    def matrix(self, terms: tuple[str, ...]) -> Matrix:
        """Terms as numbers, shape (n, k); refuses a term without a finite number in every row."""
        key = ("matrix", terms)
        if key not in self.cache:
            try:
                self.cache[key] = matrix(terms, self.columns, self.n)
            except ValueError as bad:
                raise Refusal(str(bad), "Mend the term or the column") from None
        return self.cache[key]

    def propensity(self) -> BinaryFit:
        """The declared propensity model fitted on all rows."""
        key = ("propensity", self.options.propensity)
        if key not in self.cache:
            x = self.matrix(self.options.propensity.covariates)
            self.cache[key] = fit_pooling(self.t, x.values, x.names, self.options.propensity.link, self.weights)
        return self.cache[key]

    def pooled(self) -> tuple[Pooled, ...]:
        """The rare levels that the propensity models of this run have pooled; none before they are fitted."""
        whole = self.cache.get(("propensity", self.options.propensity)) if self.estimator in OF_ALL_ROWS else None
        if whole is not None:
            return whole.pooled
        return self.cache.get(("pooled", crossfit_key(self.options)), ()) if self.estimator in CROSSFITTED else ()

    def folds(self, repeat: int = 0) -> np.ndarray:
        """The fold of each unit (of each cluster, where one is declared): shape (n,); split ``repeat`` has its own.

        Refuses where several folds are asked and all units fall into one: nothing would be cross-fitted.
        """
        key = ("folds", self.options.folds, repeat)
        if key not in self.cache and self.folds_are_declared() and self.study.fold is not None:
            self.cache[key] = declared_folds(self.columns[self.study.fold], self.options.folds, self.study.fold)
        if key not in self.cache:
            ids = self.columns[self.study.unit] if self.cluster is None else self.cluster
            folds = md5_folds((_label(i) for i in ids), self.options.folds, self.study.seed + repeat)
            if self.options.folds > 1 and np.ptp(folds) == 0:
                reason = f"all units fall into one of {self.options.folds} folds, so nothing can be cross-fitted"
                raise Refusal(reason, "Declare another seed, or `folds: 1`")
            self.cache[key] = folds
        return self.cache[key]

    def folds_are_declared(self) -> bool:
        """Whether a declared column holds the folds, so that there is one split only."""
        return self.study.fold is not None and self.options.folds == self.study.folds

    def products(self) -> tuple[int, ...] | None:
        """Columns of the outcome matrix that the treatment multiplies; None where each arm has its own fit."""
        interactions = self.options.outcome.interactions
        if interactions == "all":
            return None
        if interactions == "none":
            return ()
        names = self.matrix(self.options.outcome.covariates).names
        wanted = self.matrix(tuple(interactions)).names
        strangers = [name for name in wanted if name not in names]
        if strangers:
            reason = f"interaction '{strangers[0]}' is not among the covariates of the outcome model"
            raise Refusal(reason, "Add it to their list, or drop it from interactions")
        return tuple(names.index(name) for name in wanted)

    def crossfitted(self, repeat: int = 0) -> np.ndarray:
        """Cross-fitted propensities of one split by the learner of the options: shape (n,)."""
        key = crossfit_key(self.options, repeat)
        if key not in self.cache and self.options.learner != "linear":
            self.cache[key] = learned_propensity(self, repeat)
        if key not in self.cache and self.options.folds == 1:
            self.cache[key] = self.propensity().probability
        if key not in self.cache:
            fold, x = self.folds(repeat), self.matrix(self.options.propensity.covariates)
            link = self.options.propensity.link
            try:
                e, pooled = crossfit_propensity(self.t, x.values, x.names, link, fold, self.weights)
            except Refusal:
                self.propensity()  # where that of all rows refuses too, its reason is the plainer one
                raise
            self.cache[key], self.cache[("pooled", key)] = e, pooled
        return self.cache[key]

    def nuisances(self, repeat: int = 0) -> Nuisances:
        """Cross-fitted propensities and outcome regressions of one split, by the learner of the options."""
        key = nuisance_key(self.options, repeat)
        if key not in self.cache and self.options.learner != "linear":
            self.cache[key] = Nuisances(self.folds(repeat), *learned_nuisances(self, repeat))
        if key not in self.cache:
            fold = self.folds(repeat)
            xo, e = self.matrix(self.options.outcome.covariates), self.crossfitted(repeat)
            mu0, mu1 = outcome_regressions(self.y, self.t, xo.values, xo.names, self.products(), fold, self.weights)
            self.cache[key] = Nuisances(fold, e, mu0, mu1)
        return self.cache[key]


def rows_read(study: Study, columns: Columns, reads: str) -> np.ndarray | None:
    """The rows that a kind of estimator reads (`Estimator.reads`): shape (n,), boolean; None for all."""
    keep = np.ones(len(columns[study.unit]), dtype=bool)
    if study.time and not reads.startswith("panel"):
        times = columns[study.time]
        keep &= times == (times.max() if study.cross_section is None else study.cross_section)
    if study.sample and reads != "populations":
        keep &= columns[study.sample] == 1
    return None if keep.all() else keep


def declared_folds(values: np.ndarray, n_folds: int, name: str) -> np.ndarray:
    """A declared column of folds as whole numbers; refuses anything but 0 … n_folds − 1."""
    folds = values.astype(np.int64)
    if not (np.array_equal(folds, values) and folds.min() >= 0 and folds.max() < n_folds):
        reason = f"the fold '{name}' has values other than 0 to {n_folds - 1}"
        raise Refusal(reason, "Mend the column, or declare `folds:` as many as it has")
    if n_folds > 1 and np.ptp(folds) == 0:
        raise Refusal(f"the fold '{name}' is {folds[0]} in every row", "Mend the column, or declare `folds: 1`")
    return folds


def nuisance_key(options: Options, repeat: int = 0) -> Hashable:
    """What the cross-fitted nuisances depend on."""
    return ("nuisances", options.learner, options.propensity, options.outcome, options.folds, repeat)


def crossfit_key(options: Options, repeat: int = 0) -> Hashable:
    """What the cross-fitted propensities depend on: everything but the outcome's model."""
    return ("crossfit", options.learner, options.propensity, options.folds, repeat)


def _label(value: Any) -> str:
    whole = isinstance(value, float) and value.is_integer() and abs(value) < LONGEST
    return str(int(value)) if whole else str(value)
