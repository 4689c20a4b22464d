"""What a scan of propensities and predicted outcomes reads, and the forms that make them of a row."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..errors import Refusal
from ..moments import Moments
from ..scan.columns import cluster_key
from ..scan.frame import Frame
from ..scan.logistic import BinaryModel
from ..scan.stream import Column, Plan, quoted
from ..scan.weighting import Forms, Rows, rows
from ..terms import unique
from .linear import totals
from .nuisances import outcome_forms
from .problem import Streamed


@dataclass(frozen=True)
class Read:
    """A plan, its units, and the forms of (1, z) of its columns.

    Attributes
    ----------
    plan : Plan
        The covariates in the order of z, weight, and fold where the outcome is predicted.
    frame : Frame
        Units of z and, last, of the outcome.
    forms : Forms
    at : ndarray of shape (k,)
        Places of the propensity model's kept columns in z, the constant's first.
    share : float
        Of the treated, weighted.
    """

    plan: Plan
    frame: Frame
    forms: Forms
    at: np.ndarray
    share: float

    @property
    def width(self) -> int:
        """Rows of z."""
        return len(self.plan.columns) + 1

    @property
    def ratio(self) -> np.ndarray:
        """shift / scale of the constant and the covariates: shape (width,)."""
        return np.concatenate([[0.0], self.frame.shift[:-1] / self.frame.scale[:-1]])

    def places(self, names: tuple[str, ...]) -> np.ndarray:
        """Places of columns in z."""
        return np.array([1 + self.plan.names.index(name) for name in names], dtype=np.intp)

    def rows(self, problem: Streamed, carry: tuple[str, ...] = (), clustered: bool = False) -> Iterator[Rows]:
        """The rows, block by block; with what is carried, and the cluster's key."""
        study = problem.study
        assert study.treatment is not None
        plan = dataclasses.replace(self.plan, carry=carry)
        key = problem.summed_by if clustered else None
        if key is not None:
            plan = dataclasses.replace(plan, cluster=cluster_key(key, problem.types[key]))
        y, t = (Column(name, quoted(name)) for name in (study.outcome, study.treatment))
        return rows(problem.source, y, t, plan, self.frame, self.forms)


def units_of(problem: Streamed) -> Moments:
    """The shared scan, whose units all forms are in; where it refuses for the folds' sake, the one without folds."""
    try:
        return problem.moments()
    except Refusal:
        return totals(problem)


def treated_share(problem: Streamed) -> float:
    """Share of the treated among the units, whatever their weight."""
    by_arm = units_of(problem).rows.reshape(-1, 2).sum(axis=0)
    return float(by_arm[1] / by_arm.sum())


def read(problem: Streamed, model: BinaryModel, with_outcome: bool) -> Read:
    """What is read for the propensities of a model, and for the outcomes predicted outside each fold.

    Parameters
    ----------
    problem : Streamed
    model : BinaryModel
        Of the run's propensity options.
    with_outcome : bool
        Whether cross-fitted propensities and outcomes are wanted; the study's covariates are always read.

    Raises
    ------
    Refusal
        If an outcome regression cannot be fitted.
    """
    study, options, moments = problem.study, problem.options, units_of(problem)
    terms = [*options.propensity.covariates, *study.covariates]
    if with_outcome:
        terms += options.outcome.covariates
    columns = tuple(unique(problem.columns(tuple(unique(terms))), key=lambda column: column.name))
    folded = with_outcome and problem.n_folds > 1
    plan = Plan(
        columns, quoted(study.weight) if study.weight else None, problem.fold() if folded else None,
        problem.n_folds if folded else 1,
    )  # fmt: skip
    at = np.array([0, *(1 + plan.names.index(name) for name in model.names[1:])])
    beta = np.zeros((len(model.beta), len(columns) + 1))
    beta[:, at] = model.beta
    forms = Forms(beta[0], model.link)
    if with_outcome:
        mu = outcome_forms(problem)[:, :, [0, *(1 + moments.names.index(name) for name in plan.names)]]
        forms = dataclasses.replace(forms, crossfitted=np.stack([beta[1:] if folded else beta, mu[0], mu[1]]))
    frame = Frame.like(moments, (*plan.names, study.outcome), plan.rows())
    arms = moments.merged(np.arange(len(moments.cross)) % 2).cross[:, 0, 0]
    return Read(plan, frame, forms, at, float(arms[1] / arms.sum()))
