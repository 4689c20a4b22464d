"""Augmented inverse probability weighting, streamed."""

from __future__ import annotations

import numpy as np

from ..errors import Refusal
from ..estimates import made
from ..result import Diagnostic, Result
from ..scan.doubly_robust import ESTIMANDS, DoublyRobust
from ..small_samples import check_folds, models_of
from .ipw import effective_sizes
from .policy_values import policy_values
from .problem import Streamed
from .sample import check_arms, check_streams, counts
from .spreads import spread
from .weighing import weighed


def ope(problem: Streamed, estimand: str) -> Result:
    """The effect on all units (ATE) or on the treated (ATT), right if either the propensity or the outcome model is.

    τ = the mean of the doubly robust scores: see `estimators.selection_on_observables.ope` for the scores, their
    influence values and the sources. Propensities are fitted by scans (`propensity.fit_propensity`) and outcome
    regressions solved from sums (`nuisances.outcome_forms`); the scores are summed by the scan that ipw, ope and
    stratification share (`weighing.weighed`), and by one more for a declared cluster.

    Parameters
    ----------
    problem : Streamed
        Options: ``clip``, ``policy_threshold``.
    estimand : str
        ATE, ATT or policy_value.

    Raises
    ------
    Refusal
        As in memory; for a learned nuisance and for repeated splits, which ask for rows in memory.
    """
    check_arms(problem)
    check_streams(problem, problem.options.learner)
    found = weighed(problem)
    robust = found.of(found.robust, "ope")
    check_folds(problem, max(len(problem.names(model)) for model in models_of(problem)))
    if estimand == "policy_value":
        return policy_values(problem, found)
    if estimand not in robust.estimands():
        raise Refusal("a propensity is 0 or 1 to the last digit", "Give a clip above 0, or drop a covariate")
    estimate, c = robust.effect(estimand)
    if problem.summed_by is None:
        std_error = float(np.sqrt(c @ robust.products @ c * robust.rows / (robust.rows - 1)))
    else:
        std_error = spread(problem, found, estimand).std_error()
    diagnostics = _diagnostics(robust, estimand)
    fields = counts(problem) | {"effective_sample_size": diagnostics[0].value}
    variance = "cluster" if problem.study.cluster is not None else "influence_function"
    row = made(
        estimand,
        estimate * found.unit,
        std_error * found.unit,
        problem.reference_df(),
        variance_estimator=variance,
        **fields,
    )
    return Result((row,), diagnostics)


def _diagnostics(robust: DoublyRobust, estimand: str) -> tuple[Diagnostic, ...]:
    total, square = robust.weights[ESTIMANDS.index(estimand)].T
    groups = zip(("overall", "treated", "control"), effective_sizes(total, square), strict=True)
    return (
        *(Diagnostic("effective_sample_size", name, size) for name, size in groups),
        Diagnostic("propensity_range", "min", robust.low),
        Diagnostic("propensity_range", "max", robust.high),
        Diagnostic("clipped", "overall", float(robust.clipped)),
    )
