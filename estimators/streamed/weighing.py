"""The last scan, which ipw, ope and stratification of a study share."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from ..errors import Refusal
from ..scan.balance import differences, variances
from ..scan.doubly_robust import DoublyRobust
from ..scan.policies import PolicySums
from ..scan.stratified import Cells, Differences
from ..scan.weighting import Hajek
from ..selection_on_observables.ipw import check_trim
from ..selection_on_observables.ope import check_clip
from ..selection_on_observables.policy_values import direction, threshold
from ..study import Study
from .forms import Read, read, units_of
from .nuisances import outcome_forms
from .problem import Streamed
from .propensity import fit_propensity, propensity_strata, whole_propensity
from .sample import check_sample, sample

FAMILY = ("ipw", "ope", "stratification")
Made = TypeVar("Made")


@dataclass(frozen=True)
class Asked:
    """What the scan is to find: an option is None where its estimator does not run.

    Attributes
    ----------
    trim, clip : float or None
        Of ipw and ope.
    strata : int or None
        Of stratification.
    adjusted : bool
        Whether a regression is fitted in each stratum.
    cut : float or None
        From which predicted gain ope's threshold policy treats; None also where the study's costs give none.
    """

    trim: float | None
    clip: float | None
    strata: int | None
    adjusted: bool
    cut: float | None

    @classmethod
    def of(cls, problem: Streamed) -> Asked:
        """The options of all three estimators in the run's specification."""
        study, specification = problem.study, problem.specification
        own = {name: study.options_for(name, specification).own for name in FAMILY if _runs(problem, name)}
        return cls(
            own["ipw"]["trim"] if "ipw" in own else None,
            own["ope"]["clip"] if "ope" in own else None,
            own["stratification"]["strata"] if "stratification" in own else None,
            own.get("stratification", {}).get("adjustment") == "regression",
            _cut(study, own["ope"]) if "ope" in own else None,
        )


@dataclass(frozen=True)
class Weighed:
    """What the scan found.

    Attributes
    ----------
    asked : Asked
    read : Read
    hajek, robust, cells
        Sums of ipw, ope and stratification; None where that does not run or refuses.
    failures : dict of estimator to Refusal
        Why it refuses before any row is weighed.
    """

    asked: Asked
    read: Read
    hajek: Hajek | None
    robust: DoublyRobust | None
    cells: Cells | None
    failures: dict[str, Refusal]

    @property
    def policies(self) -> PolicySums | None:
        """Sums of ope's policies, where the scan took them: not of clusters, nor on another engine."""
        return None if self.robust is None else self.robust.policies

    @property
    def unit(self) -> float:
        """Units of the outcome for one of the standardised outcome."""
        return float(self.read.frame.scale[-1])

    def of(self, part: Made | None, estimator: str) -> Made:
        """The sums of one estimator, or its refusal."""
        if part is None:
            raise self.failures[estimator]
        return part

    def balance(self, names: tuple[str, ...], means: np.ndarray, plain: np.ndarray, squares: np.ndarray) -> np.ndarray:
        """Standardised differences of some columns; see `estimators.scan.balance.differences`."""
        return differences(means, plain, squares, self.read.ratio)[self.read.places(names)]

    def spread(self, names: tuple[str, ...], plain: np.ndarray, squares: np.ndarray) -> np.ndarray:
        """Variances of some standardised columns, the mean of both arms'."""
        return variances(plain, squares)[self.read.places(names)]

    def strata_of(self, estimand: str) -> Differences:
        """The arms' sums in the strata of an estimand."""
        assert self.cells is not None
        return Differences(self.cells.strata[estimand].shares(estimand), self.cells.of_strata(estimand))

    def squares(self, problem: Streamed) -> np.ndarray:
        """Σ z² of the treated and the untreated of an unweighted study, from the shared scan: shape (2, width)."""
        moments = units_of(problem)
        places = [0, *(1 + moments.names.index(name) for name in self.read.plan.names)]
        arms = moments.merged(np.arange(len(moments.cross)) % 2)
        return np.array([np.diag(arms.cross[arm])[places] for arm in (1, 0)])


def weighed(problem: Streamed) -> Weighed:
    """The sums of the run's specification: one scan for all three estimators and all their estimands.

    Raises
    ------
    Refusal
        If there is no propensity model of all rows.
    """
    asked = Asked.of(problem)
    key: Hashable = ("weighed", problem.options.propensity, problem.options.outcome, problem.n_folds, asked)
    if key not in problem.cache:
        if sample(problem).lightest < 0:
            check_sample(problem)
        problem.cache[key] = _scanned(problem, asked)
    return problem.cache[key]


def _runs(problem: Streamed, name: str) -> bool:
    if name == "stratification" and problem.study.weight is not None:
        return False
    return name == problem.estimator or (not problem.alone and problem.study.runs(problem.specification, name))


def _scanned(problem: Streamed, asked: Asked) -> Weighed:
    model, failures = whole_propensity(problem), dict[str, Refusal]()
    robust = _tried(failures, "ope", lambda: _robust(problem, asked.clip))
    found = read(problem, model, with_outcome=robust is not None)
    hajek = _tried(failures, "ipw", lambda: _hajek(found, asked.trim))
    cells = _tried(failures, "stratification", lambda: _cells(problem, found, asked))
    if problem.source.engine is not None:
        from ..engines.weighting import fill

        fill(problem, found, hajek, robust)
        return Weighed(asked, found, hajek, robust, cells, failures)
    if robust is not None and asked.cut is not None and problem.study.cluster is None:
        cut = asked.cut / float(found.frame.scale[-1])
        robust.policies = PolicySums(robust.clip, cut, direction(problem.study))
    parts = [part for part in (hajek, robust, cells) if part is not None]
    # Side by side: NumPy lets go of the GIL, and DuckDB's threads wait for these sums more than they work.
    with ThreadPoolExecutor(2) as pool:
        for block in found.rows(problem):
            for done in [pool.submit(part.add, block) for part in parts]:
                done.result()
    return Weighed(asked, found, hajek, robust, cells, failures)


def _cut(study: Study, own: Mapping[str, Any]) -> float | None:
    try:
        return threshold(study, own["policy_threshold"])
    except Refusal:  # which the values of policies raise again
        return None


def _tried(failures: dict[str, Refusal], name: str, make: Callable[[], Made]) -> Made | None:
    try:
        return make()
    except Refusal as refusal:
        failures[name] = refusal
        return None


def _hajek(found: Read, trim: float | None) -> Hajek | None:
    return None if trim is None else Hajek(check_trim(trim), found.at, found.width)


def _robust(problem: Streamed, clip: float | None) -> DoublyRobust | None:
    if clip is None:
        return None
    fit_propensity(problem)
    outcome_forms(problem)
    return DoublyRobust(check_clip(clip))


def _cells(problem: Streamed, found: Read, asked: Asked) -> Cells | None:
    if asked.strata is None:
        return None
    strata = {estimand: propensity_strata(problem, asked.strata, estimand) for estimand in ("ATE", "ATT")}
    return Cells(strata, found.width, asked.adjusted)
