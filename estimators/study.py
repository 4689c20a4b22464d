"""Study: the declared roles and options of one study, checked before anything is computed."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .registry import BY_NAME
from .terms import columns_of, unique

# Rows that a study's estimators hold in memory; above, they stream. 200,000 rows of 30 columns take about 1 GiB.
ROW_BUDGET = 200_000
# Whose option ``learner`` is that of the shared nuisances; cate's, for one, is that of its own effect learners.
LEARNED = ("ope",)


@dataclass(frozen=True)
class Propensity:
    """The declared propensity model: link, terms (None: the study's covariates)."""

    link: str = "logit"
    covariates: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """The declared outcome regression.

    ``interactions``: ``all`` fits each arm by itself, ``none`` adds the treatment to one regression, and a tuple of
    terms multiplies those with the treatment.
    """

    covariates: tuple[str, ...] = ()
    interactions: str | tuple[str, ...] = "all"


@dataclass(frozen=True)
class Options:
    """What one run of one estimator is told: shared models, cross-fitting, and its own options.

    ``repeats`` is how often the sample is split anew, None where the estimator decides. ``learner`` fits the shared
    nuisances: linear but for estimators that declare another (`LEARNED`). ``cluster_variance`` is that of influence
    values summed by a declared cluster: ``jackknife``, or ``sandwich`` times G / (G − 1) with the normal.
    """

    propensity: Propensity
    outcome: Outcome
    folds: int
    own: Mapping[str, Any]
    repeats: int | None = None
    learner: str = "linear"
    cluster_variance: str = "jackknife"


@dataclass(frozen=True)
class Decision:
    """The rule declared before the data were seen; ``minimum_effect`` in units of the outcome."""

    primary: str
    estimand: str
    desired_direction: str
    minimum_effect: float
    term: str = "overall"
    specification: str = "default"


@dataclass(frozen=True)
class Guardrail:
    """An outcome that must not get worse by more than ``margin`` (in its own units) while the primary gets better."""

    outcome: str
    desired_direction: str
    margin: float


@dataclass(frozen=True)
class Study:
    """One study as declared. Build it with `Study.declare`, which checks every word of the declaration."""

    name: str
    question: str
    design: str
    outcome: str
    decision: Decision
    treatment: str | None = None
    covariates: tuple[str, ...] = ()
    unit: str = "unit_id"
    time: str | None = None
    cohort: str | None = None
    cluster: str | None = None
    weight: str | None = None
    instruments: tuple[str, ...] = ()
    running: str | None = None
    cutoff: float | None = None
    cutoff_rule: str | None = None
    mediator: str | None = None
    dose: str | None = None
    sample: str | None = None
    arms: str | None = None
    exposure: str | None = None
    logged_propensity: str | None = None
    negative_control_exposures: tuple[str, ...] = ()
    negative_control_outcomes: tuple[str, ...] = ()
    effect_modifiers: tuple[str, ...] = ()
    secondary_outcomes: tuple[str, ...] = ()
    guardrails: tuple[Guardrail, ...] = ()
    edges: str | None = None
    intervention_time: Any = None
    cross_section: Any = None
    never: tuple[Any, ...] = ()
    frequency: str | None = None
    cohort_of: str = "treatment"
    treated_at: Any = None
    # Pairs of a column ("*": all covariates) and when it was measured (`estimators.measured`)
    measured: tuple[tuple[str, str | None], ...] = ()
    allocation: float | None = None
    population: str | None = None
    outcome_unit: str | None = None
    treatment_unit: str | None = None
    notes: str | None = None
    value_per_unit: float | None = None
    cost_per_unit: float | None = None
    missing: str = "refuse"
    a_a_test: bool = False
    benchmark_covariates: tuple[str, ...] = ()
    seed: int = 20260101
    folds: int = 5
    repeats: int | None = None
    fold: str | None = None
    row_budget: int = ROW_BUDGET
    options: Mapping[str, Any] = field(default_factory=dict)
    specifications: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    # SHA-256 of the block as it was written; of a study that was not declared by a block, none
    written_hash: str | None = field(default=None, compare=False, repr=False)

    @classmethod
    def declare(cls, name: str, block: Mapping[str, Any] | None) -> Study:
        """The study from its YAML block.

        Parameters
        ----------
        name : str
            The study's name, as in ``vars: cqox: studies``.
        block : mapping
            The ``meta: study`` block.

        Raises
        ------
        StudyError
            For an unknown or missing role, an unknown estimator or option, or a value of the wrong kind; the message
            names it and the mend.
        """
        from .declaration import Declaration

        return Declaration(name, block).study()

    def has(self, role: str) -> bool:
        """Whether a role is declared."""
        value = getattr(self, role, None)
        return value is not None and value != ()

    def specification_names(self) -> list[str]:
        """``default`` and the declared alternatives."""
        return ["default", *self.specifications]

    def runs(self, specification: str, estimator: str) -> bool:
        """Whether the specification covers the estimator; ``default`` covers all."""
        if specification == "default":
            return True
        return estimator in self.specifications[specification]["estimators"]

    def options_for(self, estimator: str, specification: str = "default") -> Options:
        """The options of one run: the registry's defaults, then the study's, then the specification's."""
        layers = [self.options] + ([] if specification == "default" else [self.specifications[specification]])
        merged: dict[str, Any] = {}
        for layer in layers:
            for key, value in layer.items():
                merged[key] = {**merged.get(key, {}), **value} if isinstance(value, Mapping) else value
        own = {key: option.default for key, option in BY_NAME[estimator].options.items()}
        own.update(merged.get(estimator, {}))
        propensity = {"covariates": self.covariates, **merged.get("propensity", {})}
        outcome = {"covariates": self.covariates, **merged.get("outcome", {})}
        repeats = merged.get("repeats", self.repeats)
        return Options(
            Propensity(**_tupled(propensity)), Outcome(**_tupled(outcome)),
            int(merged.get("folds", self.folds)), own, None if repeats is None else int(repeats),
            own["learner"] if estimator in LEARNED else "linear", merged.get("cluster_variance", "jackknife"),
        )  # fmt: skip

    def terms(self) -> list[str]:
        """Every term of the declaration: covariates, benchmarks, and those of options and specifications."""
        terms = [*self.covariates, *self.benchmark_covariates, *self.effect_modifiers]
        terms += [*self.negative_control_exposures, *self.negative_control_outcomes]
        for layer in (self.options, *self.specifications.values()):
            terms += _terms_in(layer)
        return unique(terms)

    def columns(self) -> list[str]:
        """Every raw column that the study reads, the unit first."""
        return unique([*self._of_roles(), *_predictors(self)])

    def other_outcomes(self) -> tuple[str, ...]:
        """The secondary outcomes and the guardrails' columns: a row that lacks one is whole for all the others."""
        return (*self.secondary_outcomes, *(one.outcome for one in self.guardrails))

    def alone(self, outcome: str) -> Study:
        """The study as it would be with one of its other outcomes as its own."""
        return dataclasses.replace(self, outcome=outcome, secondary_outcomes=(), guardrails=())

    def optional_columns(self) -> list[str]:
        """Columns that are only predictors of a synthetic control: a mean over periods needs no value in every row."""
        own = self._of_roles()
        return [name for name in _predictors(self) if name not in own]

    def _of_roles(self) -> list[str]:
        names = [self.unit, self.outcome, self.treatment, self.time, self.cohort]
        names += [self.cluster, self.weight, self.running, self.fold, self.mediator, self.dose, self.sample]
        names += [self.arms, self.exposure, self.logged_propensity, *self.instruments, *self.other_outcomes()]
        return unique([n for n in names if n] + [c for term in self.terms() for c in columns_of(term)])

    def as_dict(self) -> dict[str, Any]:
        """The declaration with its defaults."""
        return {key: value for key, value in dataclasses.asdict(self).items() if key != "written_hash"}

    def spec_hash(self) -> str:
        """SHA-256 of the declaration: of the block as written, so that a new role with a default changes no study's."""
        return self.written_hash or hash_of_block(self.name, self.as_dict())


def hash_of_block(name: str, block: Mapping[str, Any]) -> str:
    """SHA-256 of a study's name and block, whatever the order of its keys; `hash_of_block` in macros/marts is its like.

    The two compare what a study was estimated by with what its YAML says now.
    """
    return hashlib.sha256(f"{name}:{json.dumps(block, sort_keys=True, default=str)}".encode()).hexdigest()


def _tupled(block: Mapping[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in block.items()}


def _predictors(study: Study) -> list[str]:
    """Columns of the option ``predictors``, of the study and of its specifications."""
    layers = (study.options, *study.specifications.values())
    asked = [(layer.get("synthetic_control") or {}).get("predictors") for layer in layers]
    return unique([str(column) for one in asked if isinstance(one, Mapping) for column in one])


def _terms_in(layer: Mapping[str, Any]) -> list[str]:
    """Terms named in a block of options, at any of its estimators."""
    terms: list[str] = []
    for block in layer.values():
        if isinstance(block, Mapping):
            for key in ("covariates", "interactions", "instruments", "evaluated_policy", "arrival"):
                if isinstance(block.get(key), (list, tuple)):
                    terms += list(block[key])
    return terms
