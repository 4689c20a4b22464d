"""Study: the declared roles and options of one study, checked before anything is computed."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import StudyError
from .registry import BY_NAME, NAIVE, Option
from .terms import columns_of, unique

DESIGNS = ("experiment", "observational", "iv", "rd", "panel", "synthetic_control")

_TEXT_KEYS = ("question", "population", "outcome_unit", "treatment_unit", "notes")
_COLUMN_ROLES = ("outcome", "treatment", "unit", "time", "cohort", "cluster", "weight", "running")
_LIST_ROLES = ("covariates", "instruments")
_NUMBER_KEYS = ("cutoff", "allocation", "value_per_unit", "cost_per_unit")
_DECISION_KEYS = ("primary", "estimand", "term", "specification", "desired_direction", "minimum_effect")
_SHARED_OPTIONS = ("propensity", "outcome", "folds", "repeats")

_KNOWN_KEYS = (
    "design", *_TEXT_KEYS, *_COLUMN_ROLES, *_LIST_ROLES, *_NUMBER_KEYS,
    "missing", "benchmark_covariates", "decision", "options", "specifications", "seed", "folds", "a_a_test",
)  # fmt: skip


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
    """What one run of one estimator is told: shared models, cross-fitting, and its own options."""

    propensity: Propensity
    outcome: Outcome
    folds: int
    repeats: int
    own: Mapping[str, Any]


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
    options: Mapping[str, Any] = field(default_factory=dict)
    specifications: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

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
        return _Declaration(name, block).study()

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
        return Options(
            Propensity(**_tupled(propensity)), Outcome(**_tupled(outcome)),
            int(merged.get("folds", self.folds)), int(merged.get("repeats", 1)), own,
        )  # fmt: skip

    def columns(self) -> list[str]:
        """Every raw column that the study reads, the unit first."""
        names = [self.unit, self.outcome, self.treatment, self.time, self.cohort]
        names += [self.cluster, self.weight, self.running, *self.instruments]
        terms = [*self.covariates, *self.benchmark_covariates]
        for layer in (self.options, *self.specifications.values()):
            terms += _terms_in(layer)
        return unique([n for n in names if n] + [c for term in terms for c in columns_of(term)])

    def as_dict(self) -> dict[str, Any]:
        """The declaration with its defaults, for `marts.studies` and the hash."""
        return dataclasses.asdict(self)

    def spec_hash(self) -> str:
        """SHA-256 of the declaration."""
        return hashlib.sha256(json.dumps(self.as_dict(), sort_keys=True, default=str).encode()).hexdigest()


def _tupled(block: Mapping[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in block.items()}


def _terms_in(layer: Mapping[str, Any]) -> list[str]:
    """Terms named in a block of options, at any of its estimators."""
    terms: list[str] = []
    for block in layer.values():
        if isinstance(block, Mapping):
            for key in ("covariates", "interactions", "instruments"):
                if isinstance(block.get(key), (list, tuple)):
                    terms += list(block[key])
    return terms


class _Declaration:
    """Checks a block word by word and builds the Study."""

    def __init__(self, name: str, block: Mapping[str, Any] | None) -> None:
        self.name = name
        if not isinstance(block, Mapping) or not block:
            raise self.error("no study block", "Declare `meta: study:` for its models in the study's YAML file")
        self.block = dict(block)

    def error(self, problem: str, mend: str) -> StudyError:
        return StudyError(self.name, problem, mend)

    def unknown(self, kind: str, word: str, known: Iterable[str]) -> StudyError:
        known = list(known)
        near = difflib.get_close_matches(str(word), known, 1, 0.5)
        mend = f"Did you mean '{near[0]}'?" if near else f"Known are: {', '.join(known)}"
        return self.error(f"unknown {kind} '{word}'", mend)

    def study(self) -> Study:
        for key in self.block:
            if key not in _KNOWN_KEYS:
                raise self.unknown("role", key, _KNOWN_KEYS)
        values: dict[str, Any] = {"name": self.name}
        for key in (*_TEXT_KEYS, *_COLUMN_ROLES):
            if self.block.get(key) is not None:
                values[key] = self.text(key)
        for key in (*_LIST_ROLES, "benchmark_covariates"):
            values[key] = self.terms(key, self.block.get(key), self.name)
        for key in _NUMBER_KEYS:
            if self.block.get(key) is not None:
                values[key] = self.number(key, self.block[key])
        for key in ("seed", "folds"):
            if self.block.get(key) is not None:
                values[key] = int(self.number(key, self.block[key]))
        values["design"] = self.choice("design", self.block.get("design"), DESIGNS)
        values["missing"] = self.choice("missing", self.block.get("missing", "refuse"), ("refuse", "drop"))
        values["a_a_test"] = bool(self.block.get("a_a_test", False))
        for key in ("question", "outcome"):
            if key not in values:
                raise self.error(f"role '{key}' is not declared", f"Add `{key}:` to the study block")
        values["options"] = self.options(self.block.get("options") or {}, "options")
        values["specifications"] = self.specifications(self.block.get("specifications") or {})
        values["decision"] = self.decision(self.block.get("decision"), values["specifications"])
        study = Study(**values)
        self.check_roles(study)
        return study

    def text(self, key: str) -> str:
        value = self.block[key]
        if not isinstance(value, str):
            raise self.error(f"role '{key}' must be text, not {value!r}", "Give one column's name")
        return value

    def number(self, key: str, value: Any) -> float:
        try:
            return float(value)
        except (TypeError, ValueError):
            raise self.error(f"'{key}' must be a number, not {value!r}", "Write it without quotes or units") from None

    def choice(self, key: str, value: Any, allowed: tuple[str, ...]) -> str:
        if value is None:
            raise self.error(f"'{key}' is not declared", f"Write one of: {', '.join(allowed)}")
        if value not in allowed:
            raise self.unknown(key, value, allowed)
        return value

    def terms(self, key: str, value: Any, where: str) -> tuple[str, ...]:
        if value is None:
            return ()
        if not isinstance(value, (list, tuple)) or not all(isinstance(v, str) for v in value):
            raise self.error(f"'{key}' in {where} must be a list of terms, not {value!r}", "Write `[a, b^2, C(c)]`")
        for term in value:
            try:
                columns_of(term)
            except ValueError as bad:
                raise self.error(f"'{key}' in {where}: {bad}", "Mend the term") from None
        return tuple(value)

    def options(self, block: Any, where: str) -> dict[str, Any]:
        if not isinstance(block, Mapping):
            raise self.error(f"{where} must be a mapping, not {block!r}", "Write `estimator: {option: value}`")
        out: dict[str, Any] = {}
        for key, value in block.items():
            if key in ("propensity", "outcome"):
                out[key] = self.model(key, value, where)
            elif key in ("folds", "repeats"):
                out[key] = int(self.number(f"{where}.{key}", value))
            elif key in BY_NAME:
                out[key] = self.own(key, value, where)
            else:
                raise self.unknown(f"estimator or option in {where}:", key, [*BY_NAME, *_SHARED_OPTIONS])
        return out

    def model(self, key: str, value: Any, where: str) -> dict[str, Any]:
        known = ("link", "covariates") if key == "propensity" else ("covariates", "interactions")
        place = f"{where}.{key}"
        if not isinstance(value, Mapping):
            raise self.error(f"{place} must be a mapping, not {value!r}", f"Known keys: {', '.join(known)}")
        for word in value:
            if word not in known:
                raise self.unknown(f"option in {place}:", word, known)
        out = dict(value)
        if "covariates" in out:
            out["covariates"] = self.terms("covariates", out["covariates"], place)
        if "link" in out:
            self.choice("link", out["link"], ("logit", "probit"))
        if "interactions" in out and out["interactions"] not in ("none", "all"):
            out["interactions"] = self.terms("interactions", out["interactions"], place)
        return out

    def own(self, estimator: str, value: Any, where: str) -> dict[str, Any]:
        known: dict[str, Option] = BY_NAME[estimator].options
        if not isinstance(value, Mapping):
            raise self.error(f"{where}.{estimator} must be a mapping, not {value!r}", f"Known: {', '.join(known)}")
        for word, chosen in value.items():
            if word not in known:
                raise self.unknown(f"option of {estimator}:", word, known)
            if not known[word].accepts(chosen):
                problem = f"{where}.{estimator}.{word} cannot be {chosen!r}"
                raise self.error(problem, f"Allowed: {known[word].describe()}")
            if isinstance(chosen, (list, tuple)):
                self.terms(word, chosen, f"{where}.{estimator}")
        return {k: tuple(v) if isinstance(v, list) else v for k, v in value.items()}

    def specifications(self, block: Any) -> dict[str, dict[str, Any]]:
        if not isinstance(block, Mapping):
            raise self.error(
                f"specifications must be a mapping, not {block!r}", "Write `name: {estimators: [...], ...}`"
            )
        out: dict[str, dict[str, Any]] = {}
        for name, body in block.items():
            where = f"specifications.{name}"
            if not isinstance(body, Mapping) or not body.get("estimators"):
                raise self.error(f"{where} names no estimators", "Add `estimators: [ipw]`")
            if name == "default":
                raise self.error("a specification cannot be called 'default'", "Put its options under `options:`")
            for estimator in body["estimators"]:
                if estimator not in BY_NAME:
                    raise self.unknown(f"estimator in {where}:", estimator, BY_NAME)
            rest = {k: v for k, v in body.items() if k != "estimators"}
            out[str(name)] = {"estimators": tuple(body["estimators"]), **self.options(rest, where)}
        return out

    def decision(self, block: Any, specifications: Mapping[str, Any]) -> Decision:
        if not isinstance(block, Mapping):
            mend = "Declare primary, estimand, desired_direction and minimum_effect before looking at results"
            raise self.error("no decision is declared", mend)
        for key in block:
            if key not in _DECISION_KEYS:
                raise self.unknown("key in decision:", key, _DECISION_KEYS)
        for key in ("primary", "estimand", "desired_direction", "minimum_effect"):
            if block.get(key) is None:
                raise self.error(f"decision.{key} is not declared", f"Add `{key}:` to the decision")
        primary = block["primary"]
        if primary not in BY_NAME:
            raise self.unknown("estimator in decision.primary:", primary, BY_NAME)
        if block["estimand"] not in BY_NAME[primary].estimands:
            raise self.unknown(f"estimand of {primary}:", block["estimand"], BY_NAME[primary].estimands)
        specification = str(block.get("specification", "default"))
        if specification != "default" and specification not in specifications:
            raise self.unknown("specification in decision:", specification, ["default", *specifications])
        return Decision(
            primary, block["estimand"], self.choice("desired_direction", block["desired_direction"], ("more", "less")),
            self.number("minimum_effect", block["minimum_effect"]), str(block.get("term", "overall")), specification,
        )  # fmt: skip

    def check_roles(self, study: Study) -> None:
        for role in BY_NAME[study.decision.primary].needs:
            if not study.has(role):
                mend = f"Add `{role}:` to the study block or choose another primary"
                raise self.error(f"{study.decision.primary} needs the role '{role}', which is not declared", mend)
        if study.folds < 1:
            raise self.error("folds must be at least 1", "1 means no cross-fitting")
        if study.allocation is not None and not 0 < study.allocation < 1:
            raise self.error("allocation must lie between 0 and 1", "It is the share meant to be treated")


__all__ = ["DESIGNS", "NAIVE", "Decision", "Options", "Outcome", "Propensity", "Study"]
