"""Streamed: what one run of one estimator is handed where a study has more rows than its budget for memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import small_samples
from ..assemble import scanned_hash
from ..bounds import LARGEST
from ..clusters import Arms, By, arms_of
from ..contracts import Facts
from ..errors import Refusal
from ..moments import Moments
from ..rare import CROSSFITTED, OF_ALL_ROWS, Pooled
from ..registry import BY_NAME
from ..scan import columns as scan_columns
from ..scan import moments_scan
from ..scan.stream import Column, Plan, Source, quoted
from ..study import Options, Study
from ..terms import out_of_bounds, parts_of, unique
from .carried import carried, unit_arms
from .facts import facts as facts_of


@dataclass(frozen=True)
class Streamed:
    """One run of one estimator over rows that stay in the warehouse.

    The namesake of `estimators.problem.Problem`; where that has arrays, this has SQL and sums of one shared scan.

    Attributes
    ----------
    study : Study
    estimator, specification : str
    options : Options
    source : Source
        The complete rows. Every stream of it has a cursor of its own.
    types : mapping of column to DuckDB type
    facts : Facts
        Of the complete rows.
    cache : dict
        Shared by the runs of one study that read the same rows, so that nothing is scanned or fitted twice.
    views : dict
        The rows, their facts and the cache of each kind of estimator (`Estimator.reads`), shared by all runs.
    given : (Source, Facts), optional
        The rows with those that lack a value, and their facts: a further outcome has complete rows of its own.
    alone : bool
        Whether this run is the only one of its outcome, so that no scan need serve the study's other runs too.
    weightless : int
        Rows of weight zero, which are none of the source's (`estimators.contracts.weighing`).
    """

    study: Study
    estimator: str
    specification: str
    options: Options
    source: Source
    types: Mapping[str, str]
    facts: Facts
    cache: dict[Hashable, Any] = field(default_factory=dict)
    views: dict[str, tuple[Source, Facts, dict[Hashable, Any]]] = field(default_factory=dict)
    given: tuple[Source, Facts] | None = None
    alone: bool = False
    weightless: int = 0

    def for_run(self, estimator: str, specification: str) -> Streamed:
        """The rows that another estimator reads, and the cache of all that read them."""
        source, facts, cache = self._view(BY_NAME[estimator].reads)
        return dataclasses.replace(
            self, estimator=estimator, specification=specification,
            options=self.study.options_for(estimator, specification), source=source, facts=facts, cache=cache,
        )  # fmt: skip

    def _view(self, reads: str) -> tuple[Source, Facts, dict[Hashable, Any]]:
        every = self.views.setdefault("all", (self.source, self.facts, self.cache))
        if reads not in self.views:
            source = rows_read(every[0], self.study, reads)
            same = source is every[0]
            self.views[reads] = every if same else (source, facts_of(source, self.study, self.types), {})
        return self.views[reads]

    @property
    def n(self) -> int:
        """Complete rows."""
        return self.facts.rows

    @property
    def kind(self) -> str | None:
        """``binary``, ``continuous`` or None without a treatment."""
        return None if self.study.treatment is None else self.facts.kind

    @property
    def n_clusters(self) -> int | None:
        """How many clusters, None where none are declared; asked once, and no list of them is held."""
        name = self.study.cluster
        if name is not None and "n_clusters" not in self.cache:
            self.cache["n_clusters"] = self.source.one(f"count(distinct {quoted(name)})")[0]
        return None if name is None else self.cache["n_clusters"]

    def is_binary(self, name: str) -> bool:
        """Whether a column holds zeros and ones only; asked once."""
        if name not in self.types or not scan_columns.is_number(self.types[name]):
            return False
        key = ("is binary", name)
        if key not in self.cache:
            value = f"{quoted(name)}::double"
            self.cache[key] = self.source.one(f"count(*) filter (where {value} not in (0, 1))")[0] == 0
        return self.cache[key]

    def arms(self, by: By) -> Arms:
        """How the declared clusters share the weight of the arms; two queries, asked once, whatever their number."""
        key = ("arms", by)
        if key not in self.cache:
            assert self.study.cluster is not None
            weight = quoted(self.study.weight) if self.study.weight else None
            self.cache[key] = carried(self.source, quoted(self.study.cluster), weight, by)
        return self.cache[key]

    def small_sample(self) -> Arms | None:
        """As `estimators.problem.Problem.small_sample`; one query, asked once."""
        if not small_samples.applies(self):
            return None
        by = arms_of(self)[0]
        fitted = small_samples.fitted(self, self._varying(small_samples.model_of(self)))
        key = ("small sample", by, fitted)
        if key not in self.cache:
            weight = quoted(self.study.weight) if self.study.weight else None
            self.cache[key] = unit_arms(self.source, weight, by, fitted)
        return self.cache[key]

    def _varying(self, terms: tuple[str, ...]) -> int:
        """Columns of some terms that are not constant; asked once."""
        key = ("varying", terms)
        if key not in self.cache:
            asked = [f"max({column.sql}) > min({column.sql})" for column in self.columns(terms)]
            self.cache[key] = sum(map(bool, self.source.one(", ".join(asked)))) if asked else 0
        return self.cache[key]

    @property
    def summed_by(self) -> str | None:
        """The column whose values' influence values are added up before they are squared, with a factor each.

        The cluster; in a small sample the unit, so that its factor comes in by the same scan.
        """
        few = self.estimator in small_samples.SUMMED and self.small_sample() is not None
        return self.study.unit if few else self.study.cluster

    def reference_df(self) -> float | None:
        """Degrees of freedom of Student's t for influence values: of clusters or few units, None for the normal."""
        small = self.small_sample()
        if small is not None:
            return small.df
        if self.study.cluster is None or self.options.cluster_variance == "sandwich":
            return None
        return self.arms(arms_of(self)[0]).df

    def data_hash(self) -> str:
        """Of the columns, whatever the order of the rows; taken once."""
        source, _, cache = self.views.setdefault("all", (self.source, self.facts, self.cache))
        if "data_hash" not in cache:
            cache["data_hash"] = scanned_hash(source, self.study.columns())
        return cache["data_hash"]

    def kept(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """What ``make`` gives, from the cache where it was made before; a refusal is kept and raised again."""
        if key not in self.cache:
            try:
                self.cache[key] = make()
            except Refusal as refusal:
                self.cache[key] = refusal
        if isinstance(self.cache[key], Refusal):
            raise self.cache[key]
        return self.cache[key]

    def own(self, option: str) -> Any:
        """One of the estimator's own options."""
        return self.options.own[option]

    def covariate_terms(self) -> tuple[str, ...]:
        """The estimator's own ``covariates`` option, or the study's covariates."""
        own = self.options.own.get("covariates")
        return self.study.covariates if own is None else tuple(own)

    def columns(self, terms: tuple[str, ...]) -> tuple[Column, ...]:
        """Terms as SQL columns of numbers, named as `estimators.terms.expand` names them."""
        key = ("columns", terms)
        if key not in self.cache:
            for problem in self._out_of_bounds(terms).values():
                if problem is not None:
                    raise Refusal(problem, "Mend the term or the column")
            try:
                self.cache[key] = scan_columns.columns(self.source, terms)
            except ValueError as bad:
                raise Refusal(str(bad), "Mend the term or the column") from None
        return self.cache[key]

    def _out_of_bounds(self, terms: tuple[str, ...]) -> dict[str, str | None]:
        """What is wrong with each power, logarithm and product among the terms and their parts; asked once each."""
        computed = unique(name for term in terms for name in _computed(term))
        known: dict[str, str | None] = self.cache.setdefault("infinite", {})
        fresh = tuple(part for part in computed if part not in known)
        if fresh:
            columns = [(part, scan_columns.columns(self.source, (part,))) for part in fresh]
            found = sizes(self.source, [column for _, some in columns for column in some])
            known.update({part: next((found[c.name] for c in some if found[c.name]), None) for part, some in columns})
        return {part: known[part] for part in computed}

    def pooled(self) -> tuple[Pooled, ...]:
        """The rare levels that the propensity models of this run have pooled; none before they are fitted."""
        fitted = self.cache.get(("propensity", self.options.propensity, self.n_folds))
        model = getattr(fitted, "model", None)
        if model is None or self.estimator not in (*OF_ALL_ROWS, *CROSSFITTED):
            return ()
        return model.pooled if self.estimator in OF_ALL_ROWS else model.pooled_outside or model.pooled

    def names(self, terms: tuple[str, ...]) -> tuple[str, ...]:
        """Names of the terms' columns."""
        return tuple(column.name for column in self.columns(terms))

    def products(self) -> tuple[str, ...] | None:
        """Columns of the outcome regression that the treatment multiplies; None where each arm has its own fit."""
        interactions = self.options.outcome.interactions
        if interactions == "all":
            return None
        if interactions == "none":
            return ()
        names, wanted = self.names(self.options.outcome.covariates), self.names(tuple(interactions))
        strangers = [name for name in wanted if name not in names]
        if strangers:
            reason = f"interaction '{strangers[0]}' is not among the covariates of the outcome model"
            raise Refusal(reason, "Add it to their list, or drop it from interactions")
        return wanted

    @property
    def n_folds(self) -> int:
        """Folds of the run; 1 means no cross-fitting."""
        return self.options.folds

    def fold(self) -> str:
        """SQL of a row's fold: a declared column, or the md5 of its unit (of its cluster, where one is declared)."""
        if self.study.fold is not None and self.n_folds == self.study.folds:
            self._check_folds(self.study.fold)
            return f"{quoted(self.study.fold)}::utinyint"
        key = self.study.cluster or self.study.unit
        return scan_columns.fold(key, self.types[key], self.n_folds, self.study.seed)

    def _check_folds(self, name: str) -> None:
        """Refuse as `estimators.problem.declared_folds` does; asked once."""
        if "fold" not in self.cache:
            k, n = quoted(name), self.n_folds
            whole, levels, any_level = self.source.one(
                f"bool_and({k} between 0 and {n - 1} and {k} = trunc({k})), count(distinct {k}), any_value({k})"
            )
            self.cache["fold"] = (whole, levels, any_level)
        whole, levels, any_level = self.cache["fold"]
        if not whole:
            reason = f"the fold '{name}' has values other than 0 to {self.n_folds - 1}"
            raise Refusal(reason, "Mend the column, or declare `folds:` as many as it has")
        if self.n_folds > 1 and levels == 1:
            reason = f"the fold '{name}' is {int(any_level)} in every row"
            raise Refusal(reason, "Mend the column, or declare `folds: 1`")

    def treated(self) -> str:
        """SQL of a binary treatment as 0 or 1."""
        assert self.study.treatment is not None
        return f"{quoted(self.study.treatment)}::utinyint"

    def clusters(self) -> np.ndarray | None:
        """Sorted keys of the clusters, shape (G,), int64; None where none are declared."""
        name = self.study.cluster
        if name is None:
            return None
        if "clusters" not in self.cache:
            self.cache["clusters"] = scan_columns.cluster_keys(self.source, name, self.types[name])
        return self.cache["clusters"]

    def plan(self, columns: tuple[Column, ...], by_arm: bool = False, carry: tuple[str, ...] = ()) -> Plan:
        """What a scan of some columns reads: the study's weight and cluster, and as group the fold, or fold and arm.

        The group of fold k and arm a is 2 k + a.
        """
        folds, group = self.n_folds, self.fold() if self.n_folds > 1 else None
        if by_arm:
            group = self.treated() if group is None else f"(({group}) * 2 + {self.treated()})"
        cluster = self.study.cluster
        return Plan(
            columns, quoted(self.study.weight) if self.study.weight else None, group, folds * (2 if by_arm else 1),
            scan_columns.cluster_key(cluster, self.types[cluster]) if cluster else None, carry,
        )  # fmt: skip

    def everything(self) -> tuple[Column, ...]:
        """Outcome, treatment, instruments and every term of the declaration that is a number everywhere, once each."""
        study = self.study
        raw = [name for name in (study.outcome, study.treatment) if name]
        terms = unique([*raw, *study.instruments, *study.terms()])
        # Only the estimators that read a broken term are to refuse.
        broken = {part for part, problem in self._out_of_bounds(tuple(terms)).items() if problem}
        terms = [term for term in terms if not broken & set(_computed(term))]
        return tuple(unique(self.columns(tuple(terms)), key=lambda column: column.name))

    def moments(self) -> Moments:
        """Weighted cross-products of `everything` in one scan: a fold and arm, or a fold if treatment is not binary.

        Refuses where several folds are asked and all units fall into one.
        """
        key = ("moments", self.n_folds)
        if key not in self.cache:
            plan = dataclasses.replace(self.plan(self.everything(), by_arm=self.kind == "binary"), cluster=None)
            moments = moments_scan.scan(self.source, plan).moments
            rows = moments.rows.reshape(self.n_folds, -1).sum(axis=1)
            if self.n_folds > 1 and (rows > 0).sum() == 1:
                reason = f"all units fall into one of {self.n_folds} folds, so nothing can be cross-fitted"
                raise Refusal(reason, "Declare another seed, or `folds: 1`")
            self.cache[key] = moments
        return self.cache[key]

    def by_fold(self) -> Moments:
        """`moments` with the arms added up: a fold each."""
        moments = self.moments()
        return moments.merged(np.arange(len(moments.cross)) // 2) if self.kind == "binary" else moments

    def arm(self, arm: int) -> Moments:
        """`moments` of one arm of a binary treatment, a fold each."""
        return self.moments().only(*range(arm, 2 * self.n_folds, 2))


def _computed(term: str) -> list[str]:
    """What of a term is computed, and may be out of bounds: its powers, logarithms, and itself where a product."""
    parts = parts_of(term)
    return [part.name for part in parts if part.kind in ("power", "log")] + ([term] if len(parts) > 1 else [])


def sizes(source: Source, columns: list[Column]) -> dict[str, str | None]:
    """What is wrong with the size of each computed column, by its name: see `estimators.terms.out_of_bounds`."""
    asked = []
    for column in columns:
        size = f"abs({column.sql})"
        asked += [f"count(*) filter (where isinf({column.sql}))", f"count(*) filter (where {size} > {LARGEST})"]
        asked += [f"max({size})"]
    values = source.one(", ".join(asked)) if asked else ()
    return {c.name: out_of_bounds(c.name, *values[3 * i : 3 * i + 3]) for i, c in enumerate(columns)}


def rows_read(source: Source, study: Study, reads: str) -> Source:
    """The rows that a kind of estimator reads, as `estimators.problem.rows_read` picks them."""
    if study.time and not reads.startswith("panel"):
        time = quoted(study.time)
        period = study.cross_section
        if period is None:
            period = source.one(f"max({time})::double")[0]
        source = source.kept(f"{time} = {float(period)!r}")
    if study.sample and reads != "populations":
        source = source.kept(f"{quoted(study.sample)} = 1")
    return source
