"""A study block checked word by word; every error names the study, the word and the mend."""

from __future__ import annotations

import datetime
import difflib
import math
from collections.abc import Iterable, Mapping
from typing import Any

from . import declared_outcomes, measured
from .calendar_codes import FREQUENCIES
from .errors import StudyError
from .registry import BY_NAME, Option
from .study import Decision, Study, hash_of_block
from .terms import columns_of

DESIGNS = ("experiment", "observational", "iv", "rd", "panel", "synthetic_control", "its", "network")

_TEXT_KEYS = ("question", "population", "outcome_unit", "treatment_unit", "notes")
_COLUMN_ROLES = (
    "outcome", "treatment", "unit", "time", "cohort", "cluster", "weight", "running", "fold", "mediator", "dose",
    "sample", "arms", "exposure", "logged_propensity", "edges",
)  # fmt: skip
_LIST_ROLES = (
    "covariates", "instruments", "effect_modifiers", "negative_control_exposures", "negative_control_outcomes",
)  # fmt: skip
_NUMBER_KEYS = (
    "cutoff", "allocation", "value_per_unit", "cost_per_unit",
)  # fmt: skip
_PERIOD_KEYS = ("intervention_time", "cross_section")
_DECISION_KEYS = ("primary", "estimand", "term", "specification", "desired_direction", "minimum_effect")
CUTOFF_RULES = (">=", ">", "<=", "<")
_NUMBER_LISTS = ("doses", "gammas")  # options of estimators that list numbers; other lists are of terms
_SHARED_OPTIONS = ("propensity", "outcome", "folds", "repeats", "cluster_variance")

_KNOWN_KEYS = (
    "design", *_TEXT_KEYS, *_COLUMN_ROLES, *_LIST_ROLES, *_NUMBER_KEYS,
    "missing", "benchmark_covariates", "decision", "options", "specifications", "seed", "folds", "repeats",
    "row_budget", "a_a_test", "cutoff_rule", "secondary_outcomes", "guardrails", *_PERIOD_KEYS, "never", "frequency",
    "cohort_of", "measured", "treated_at",
)  # fmt: skip


def _column(name: str) -> str | None:
    """The column that a name stands for where it is read as a term; None for several."""
    try:
        columns = columns_of(name)
    except ValueError:
        return None
    return columns[0] if len(columns) == 1 else None


class Declaration:
    """A block under check; `study` gives the result."""

    def __init__(self, name: str, block: Mapping[str, Any] | None) -> None:
        self.name = name
        if not isinstance(block, Mapping) or not block:
            raise self.error("no study block", "Declare `meta: study:` for its models in the study's YAML file")
        self.block = dict(block)

    def error(self, problem: str, mend: str) -> StudyError:
        """What is wrong with the block, and the mend."""
        return StudyError(self.name, problem, mend)

    def unknown(self, kind: str, word: str, known: Iterable[str]) -> StudyError:
        """A word that is not known, with the nearest that is."""
        known = list(known)
        near = difflib.get_close_matches(str(word), known, 1, 0.5)
        mend = f"Did you mean '{near[0]}'?" if near else f"Known are: {', '.join(known)}"
        return self.error(f"unknown {kind} '{word}'", mend)

    def study(self) -> Study:
        """The checked study, or StudyError at the first wrong word."""
        for key in self.block:
            if key not in _KNOWN_KEYS:
                raise self.unknown("role", key, _KNOWN_KEYS)
        values = {"name": self.name, **self._roles(), **self._rules()}
        values["decision"] = self._decision(self.block.get("decision"), values["specifications"])
        study = Study(**values, written_hash=hash_of_block(self.name, self.block))
        self._check_roles(study)
        return study

    def _roles(self) -> dict[str, Any]:
        """Columns, terms and numbers."""
        values: dict[str, Any] = {}
        for key in (*_TEXT_KEYS, *_COLUMN_ROLES):
            if self.block.get(key) is not None:
                values[key] = self._text(key)
        for key in (*_LIST_ROLES, "benchmark_covariates"):
            values[key] = self._terms(key, self.block.get(key), self.name)
        values |= declared_outcomes.read(self)
        for key in _NUMBER_KEYS:
            if self.block.get(key) is not None:
                values[key] = self.number(key, self.block[key])
        values |= self._calendar()
        values |= measured.read(self)
        for key in ("seed", "folds", "repeats", "row_budget"):
            if self.block.get(key) is not None:
                values[key] = self._whole(key, self.block[key])
        for key in ("question", "outcome"):
            if key not in values:
                raise self.error(f"role '{key}' is not declared", f"Add `{key}:` to the study block")
        return values

    def _calendar(self) -> dict[str, Any]:
        """Named periods, how periods are counted, what means never treated, and what the cohort dates."""
        words = {"frequency": FREQUENCIES, "cohort_of": ("treatment", "intervention")}
        given = {key: value for key, value in self.block.items() if value is not None}
        values = {key: self.choice(key, given[key], allowed) for key, allowed in words.items() if key in given}
        values |= {key: self.when(key, given[key]) for key in _PERIOD_KEYS if key in given}
        return {**values, "never": self._never(given.get("never"))}

    def _rules(self) -> dict[str, Any]:
        """Design, policy words, options and specifications."""
        values: dict[str, Any] = {}
        values["design"] = self.choice("design", self.block.get("design"), DESIGNS)
        values["missing"] = self.choice("missing", self.block.get("missing", "refuse"), ("refuse", "drop"))
        if self.block.get("cutoff_rule") is not None:
            values["cutoff_rule"] = self._cutoff_rule(self.block["cutoff_rule"])
        values["a_a_test"] = self.block.get("a_a_test", False)
        if not isinstance(values["a_a_test"], bool):
            raise self.error(f"'a_a_test' must be true or false, not {values['a_a_test']!r}", "Write it without quotes")
        values["options"] = self._options(self.block.get("options") or {}, "options")
        values["specifications"] = self._specifications(self.block.get("specifications") or {})
        return values

    def _cutoff_rule(self, value: Any) -> str:
        if value not in CUTOFF_RULES:
            mend = f"Write the one of {', '.join(CUTOFF_RULES)} that holds for the treated rows, in quotes"
            raise self.error(f"'cutoff_rule' must compare the running variable with the cutoff, not {value!r}", mend)
        if self.block.get("cutoff") is None:
            raise self.error(
                "'cutoff_rule' is declared without a cutoff", "Add `cutoff:` to the study block, or drop it"
            )
        return str(value)

    def _text(self, key: str) -> str:
        value = self.block[key]
        if not isinstance(value, str) or not value:
            mend = "Write a sentence or a word" if key in _TEXT_KEYS else "Give one column's name"
            raise self.error(f"role '{key}' must be text, not {value!r}", mend)
        if key in _COLUMN_ROLES and _column(value) != value:
            raise self.error(f"{key} '{value}' reads as a term", "Rename the column in the units")
        return value

    def number(self, key: str, value: Any) -> float:
        """A finite number, or StudyError."""
        # dbt renders Jinja to text, so text that reads as a number is one.
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            raise self.error(f"'{key}' must be a number, not {value!r}", "Write it without quotes or units")
        return number

    def when(self, key: str, value: Any) -> Any:
        """A period: a number, or the text of a date such as 2001-03-01."""
        if isinstance(value, datetime.date):
            return value.isoformat()[:10]
        if isinstance(value, str):
            try:
                return (
                    datetime.date.fromisoformat(value.strip()).isoformat()
                    if "-" in value[1:]
                    else self.number(key, value)
                )
            except ValueError:
                pass
        return self.number(key, value)

    def _never(self, value: Any) -> tuple[Any, ...]:
        """Cohorts that mean never treated: a number or a text, or a list of these."""
        if value is None:
            return ()
        listed = value if isinstance(value, (list, tuple)) else [value]
        out = [one.isoformat()[:10] if isinstance(one, datetime.date) else one for one in listed]
        for one in out:
            if isinstance(one, bool) or not isinstance(one, (int, float, str)):
                raise self.error(
                    f"'never' must hold numbers or text, not {one!r}", "Write `never: 0` or `never: [9999, -1]`"
                )
        return tuple(out)

    def _whole(self, key: str, value: Any) -> int:
        if not self.number(key, value).is_integer():
            raise self.error(f"'{key}' must be a whole number, not {value!r}", "Round it")
        return int(value) if isinstance(value, (int, str)) and str(value).isdigit() else int(float(value))

    def choice(self, key: str, value: Any, allowed: tuple[str, ...]) -> str:
        """One of the allowed words, or StudyError."""
        if value is None:
            raise self.error(f"'{key}' is not declared", f"Write one of: {', '.join(allowed)}")
        if value not in allowed:
            raise self.unknown(key, value, allowed)
        return value

    def _terms(self, key: str, value: Any, where: str) -> tuple[str, ...]:
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

    def _options(self, block: Any, where: str) -> dict[str, Any]:
        if not isinstance(block, Mapping):
            raise self.error(f"{where} must be a mapping, not {block!r}", "Write `estimator: {option: value}`")
        out: dict[str, Any] = {}
        for key, value in block.items():
            if key in ("propensity", "outcome"):
                out[key] = self._model(key, value, where)
            elif key == "folds":
                out[key] = self._folds(f"{where}.{key}", self._whole(f"{where}.{key}", value))
            elif key == "repeats":
                out[key] = self._repeats(f"{where}.{key}", self._whole(f"{where}.{key}", value))
            elif key == "cluster_variance":
                out[key] = self.choice(f"{where}.{key}", value, ("jackknife", "sandwich"))
            elif key in BY_NAME:
                out[key] = self._own(key, value, where)
            else:
                raise self.unknown(f"estimator or option in {where}:", key, [*BY_NAME, *_SHARED_OPTIONS])
        return out

    def _folds(self, where: str, value: int) -> int:
        if value < 1:
            raise self.error(f"{where} must be at least 1, not {value}", "1 means no cross-fitting")
        return value

    def _repeats(self, where: str, value: int) -> int:
        if value < 1:
            raise self.error(f"{where} must be at least 1, not {value}", "It is how often the sample is split anew")
        return value

    def mapping(self, where: str, value: Any, known: tuple[str, ...], kind: str) -> dict[str, Any]:
        """A copy of a mapping whose words are all known; ``kind`` is what an unknown one is called."""
        if not isinstance(value, Mapping):
            raise self.error(f"{where} must be a mapping, not {value!r}", f"Known keys: {', '.join(known)}")
        for word in value:
            if word not in known:
                raise self.unknown(f"{kind} in {where}:", word, known)
        return dict(value)

    def _model(self, key: str, value: Any, where: str) -> dict[str, Any]:
        known = ("link", "covariates") if key == "propensity" else ("covariates", "interactions")
        place = f"{where}.{key}"
        out = self.mapping(place, value, known, "option")
        if "covariates" in out:
            out["covariates"] = self._terms("covariates", out["covariates"], place)
        if "link" in out:
            self.choice("link", out["link"], ("logit", "probit"))
        if "interactions" in out and out["interactions"] not in ("none", "all"):
            out["interactions"] = self._terms("interactions", out["interactions"], place)
        return out

    def _own(self, estimator: str, value: Any, where: str) -> dict[str, Any]:
        known: dict[str, Option] = BY_NAME[estimator].options
        if not isinstance(value, Mapping):
            raise self.error(f"{where}.{estimator} must be a mapping, not {value!r}", f"Known: {', '.join(known)}")
        for word, chosen in value.items():
            if word not in known:
                raise self.unknown(f"option of {estimator}:", word, known)
            if not known[word].accepts(chosen):
                problem = f"{where}.{estimator}.{word} cannot be {chosen!r}"
                raise self.error(problem, f"Allowed: {known[word].describe()}")
            if isinstance(chosen, (list, tuple)) and word in _NUMBER_LISTS:
                for number in chosen:
                    self.number(f"{where}.{estimator}.{word}", number)
            elif isinstance(chosen, (list, tuple)):
                self._terms(word, chosen, f"{where}.{estimator}")
        return {k: tuple(v) if isinstance(v, list) else v for k, v in value.items()}

    def _specifications(self, block: Any) -> dict[str, dict[str, Any]]:
        if not isinstance(block, Mapping):
            raise self.error(f"specifications must be a mapping, not {block!r}", "Write `name: {estimators: [...]}`")
        out: dict[str, dict[str, Any]] = {}
        for name, body in block.items():
            where = f"specifications.{name}"
            if not isinstance(body, Mapping) or not body.get("estimators"):
                raise self.error(f"{where} names no estimators", "Add `estimators: [ipw]`")
            if name == "default":
                raise self.error("a specification cannot be called 'default'", "Put its options under `options:`")
            if not isinstance(body["estimators"], (list, tuple)):
                raise self.error(f"{where}.estimators must be a list, not {body['estimators']!r}", "Write `[ipw, psm]`")
            for estimator in body["estimators"]:
                self._known_estimator(f"estimator in {where}:", estimator)
            rest = {k: v for k, v in body.items() if k != "estimators"}
            out[str(name)] = {"estimators": tuple(body["estimators"]), **self._options(rest, where)}
        return out

    def _decision(self, block: Any, specifications: Mapping[str, Any]) -> Decision:
        if not isinstance(block, Mapping):
            mend = "Declare primary, estimand, desired_direction and minimum_effect before looking at results"
            raise self.error("no decision is declared", mend)
        for key in block:
            if key not in _DECISION_KEYS:
                raise self.unknown("key in decision:", key, _DECISION_KEYS)
        for key in ("primary", "estimand", "desired_direction", "minimum_effect"):
            if block.get(key) is None:
                raise self.error(f"decision.{key} is not declared", f"Add `{key}:` to the decision")
        primary = self._known_estimator("estimator in decision.primary:", block["primary"])
        if block["estimand"] not in BY_NAME[primary].estimands:
            raise self.unknown(f"estimand of {primary}:", block["estimand"], BY_NAME[primary].estimands)
        specification = str(block.get("specification", "default"))
        if specification != "default" and specification not in specifications:
            raise self.unknown("specification in decision:", specification, ["default", *specifications])
        if specification != "default" and primary not in specifications[specification]["estimators"]:
            mend = f"Add it to specifications.{specification}.estimators"
            raise self.error(f"the decision's specification '{specification}' does not run {primary}", mend)
        return Decision(
            primary, block["estimand"], self.choice("desired_direction", block["desired_direction"], ("more", "less")),
            self.number("minimum_effect", block["minimum_effect"]), str(block.get("term", "overall")), specification,
        )  # fmt: skip

    def _known_estimator(self, kind: str, name: Any) -> str:
        if not isinstance(name, str) or name not in BY_NAME:
            raise self.unknown(kind, name, BY_NAME)
        return name

    def _check_roles(self, study: Study) -> None:
        for role in BY_NAME[study.decision.primary].needs:
            if not study.has(role):
                mend = f"Add `{role}:` to the study block or choose another primary"
                raise self.error(f"{study.decision.primary} needs the role '{role}', which is not declared", mend)
        either = BY_NAME[study.decision.primary].either
        if either and not any(study.has(role) for role in either):
            mend = f"Declare one of: {', '.join(either)}"
            raise self.error(f"{study.decision.primary} needs one of several roles, and none is declared", mend)
        self._folds("folds", study.folds)
        if study.repeats is not None:
            self._repeats("repeats", study.repeats)
        if study.row_budget < 1:
            raise self.error(f"row_budget must be at least 1, not {study.row_budget}", "It is a number of rows")
        self._check_overlap(study)
        declared_outcomes.check(self, study)
        if study.allocation is not None and not 0 < study.allocation < 1:
            raise self.error("allocation must lie between 0 and 1", "It is the share meant to be treated")

    def _check_overlap(self, study: Study) -> None:
        """The outcome and the treatment stand for nothing else: adjusted for, they would leave no effect."""
        if study.outcome == study.treatment:
            raise self.error(f"'{study.outcome}' is both outcome and treatment", "Give each its own column")
        for term in study.terms():
            for role, name in (("outcome", study.outcome), ("treatment", study.treatment)):
                if name in columns_of(term):
                    raise self.error(f"the {role} '{name}' is also in the term '{term}'", "Drop that term")
        others = (study.running, study.weight, study.time, study.cohort, study.mediator, study.dose, study.sample)
        if study.outcome in (*others, study.arms, study.exposure, study.logged_propensity, *study.instruments):
            raise self.error(f"the outcome '{study.outcome}' has a second role", "Give each its own column")
        self._check_identities(study)
        self._check_covariates(study)
        measured.check(self, study)

    def _check_identities(self, study: Study) -> None:
        """An instrument, a mediator, a weight, a cluster or a running variable is not the treatment itself."""
        covariates = {c for term in study.covariates for c in columns_of(term)}
        for name in study.instruments:
            for role, held in (
                ("treatment", {study.treatment}),
                ("mediator", {study.mediator}),
                ("covariate", covariates),
            ):
                if name in held:
                    mend = "An instrument moves the treatment and stands for nothing else: name another, or drop it"
                    raise self.error(f"the instrument '{name}' is also the {role}", mend)
        roles = ("running", "weight", "cluster", "mediator", "fold", "logged_propensity", "unit", "time")
        for role in roles:
            if study.treatment is not None and getattr(study, role) == study.treatment:
                told = role.replace("_", " ")
                raise self.error(f"'{study.treatment}' is both treatment and {told}", "Give each its own column")

    def _check_covariates(self, study: Study) -> None:
        """What is caused by treatment, or stands for a hidden confounder, is no covariate."""
        columns = {c for term in study.covariates for c in columns_of(term)}
        controls = (*study.negative_control_exposures, *study.negative_control_outcomes)
        apart = {"mediator": [study.mediator], "sample": [study.sample]}
        apart["negative control"] = [c for term in controls for c in columns_of(term)]
        for role, names in apart.items():
            for name in names:
                if name in columns:
                    raise self.error(f"the {role} '{name}' is also a covariate", "Drop it from the covariates")
        both = set(study.negative_control_exposures) & set(study.negative_control_outcomes)
        if both:
            raise self.error(f"'{min(both)}' is a negative control of both kinds", "Give each its own columns")
