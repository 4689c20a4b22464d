"""Streamed: what one run of one estimator is handed where a study has more rows than its budget for memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..assemble import scanned_hash
from ..contracts import Facts
from ..errors import Refusal
from ..moments import Moments
from ..scan import columns as scan_columns
from ..scan import moments_scan
from ..scan.stream import Column, Plan, Source, quoted
from ..study import Options, Study
from ..terms import unique


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
        Shared by the runs of one study, so that nothing is scanned or fitted twice.
    """

    study: Study
    estimator: str
    specification: str
    options: Options
    source: Source
    types: Mapping[str, str]
    facts: Facts
    cache: dict[Hashable, Any] = field(default_factory=dict)

    def for_run(self, estimator: str, specification: str) -> Streamed:
        """The same data and cache for another estimator."""
        options = self.study.options_for(estimator, specification)
        return dataclasses.replace(self, estimator=estimator, specification=specification, options=options)

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
        """How many clusters, None where none are declared."""
        keys = self.clusters()
        return None if keys is None else len(keys)

    def data_hash(self) -> str:
        """Of the columns, whatever the order of the rows; taken once."""
        if "data_hash" not in self.cache:
            self.cache["data_hash"] = scanned_hash(self.source, self.study.columns())
        return self.cache["data_hash"]

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
            try:
                self.cache[key] = scan_columns.columns(self.source, terms)
            except ValueError as bad:
                raise Refusal(str(bad), "Mend the term or the column") from None
        return self.cache[key]

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
            return f"{quoted(self.study.fold)}::utinyint"
        key = self.study.cluster or self.study.unit
        return scan_columns.fold(key, self.types[key], self.n_folds, self.study.seed)

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
        """Outcome, treatment, instruments and every term of the declaration that reads numbers, once each."""
        study = self.study
        raw = [name for name in (study.outcome, study.treatment) if name]
        terms = unique([*raw, *study.instruments, *study.terms()])
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
