"""The declared propensity model fitted by scans, and its probabilities as SQL."""

from __future__ import annotations

import dataclasses

import numpy as np

from ..errors import Refusal
from ..scan import logistic
from ..scan.logistic import Logit
from ..scan.strata import Watch
from ..scan.stream import Column, quoted
from .problem import Streamed


def fit_propensity(problem: Streamed, watch: Watch | None = None) -> Logit:
    """The model of all rows and those outside each fold: fitted once a study for the same terms, link and folds.

    Parameters
    ----------
    problem : Streamed
        Of a binary treatment.
    watch : Watch, optional
        Shown the probabilities, where the model is fitted now.

    Raises
    ------
    Refusal
        Where `estimators.scan.logistic.fit` does.
    """
    key = ("propensity", problem.options.propensity, problem.n_folds)
    if key not in problem.cache:
        problem.cache[key] = _fit(problem, watch)
    return problem.cache[key]


def _fit(problem: Streamed, watch: Watch | None) -> Logit:
    if problem.options.propensity.link != "logit":
        raise Refusal("above the row_budget only the logit link is fitted", "Declare `propensity: {link: logit}`")
    assert problem.study.treatment is not None
    columns = problem.columns(problem.options.propensity.covariates)
    plan = dataclasses.replace(problem.plan(columns), cluster=None)
    treated = np.column_stack([problem.arm(arm).cross[:, 0, 0] for arm in (0, 1)])
    t = Column(problem.study.treatment, quoted(problem.study.treatment))
    return logistic.fit(problem.source, t, plan, problem.moments(), treated, watch)


def probability_sql(problem: Streamed, logit: Logit, model: int = 0) -> str:
    """SQL of a row's propensity under one model (0: that of all rows), equal to the streamed one to a few last digits.

    Standardised before it is multiplied, as the stream does, so that a column of mean 1e9 keeps its digits.
    """
    named = {column.name: column.sql for column in problem.columns(problem.options.propensity.covariates)}
    parts = [repr(float(logit.beta[model, 0]))]
    for j, name in enumerate(logit.names[1:]):
        z = f"(({named[name]})::double - {float(logit.shift[j])!r}::double) / {float(logit.scale[j])!r}::double"
        parts.append(f"{float(logit.beta[model, j + 1])!r}::double * ({z})")
    return f"(1.0::double / (1.0::double + exp(-({' + '.join(parts)}))))"
