"""Few units in an arm, without clusters: influence values by arm in the jackknife's size, and Student's t.

Only counts and sums of weights an arm enter, so rows in memory, streams and engines call the same functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .clusters import Arms, By, Clustering
from .errors import Refusal

# Effective units of the smaller arm below which an estimate takes the jackknife and Student's t. At 50 the standard
# error would grow by 1 % and its quantile by 1.3 %; above, nothing changes.
FEW_UNITS = 50.0
ROUNDING = 1e-9  # of a count that is one over a sum of squares
# Units that an arm must have outside a fold for each parameter of the models fitted there, in small samples. With
# fewer, a propensity near 0 or 1 carries the estimate now and then: with 8 the standard error is 0.3 of its spread.
# Vittinghoff & McCulloch (2007).
UNITS_A_PARAMETER = 5
# Their standard errors are sums of influence values.
SUMMED = ("ipw", "ope", "ipwra", "iivm", "transportability", "dose_response", "causal_forest", "cate", "policy_value")
# Of an own variance, which takes the same size as a whole and the same t.
SCALED = ("psm", "tvce")
# Their variance within strata knows its degrees of freedom; the reference is t.
REFERRED = ("stratification",)


def applies(problem: Any) -> bool:
    """Whether an estimator asks at all: without clusters, unless ``cluster_variance: sandwich`` is declared."""
    known = problem.estimator in (*SUMMED, *SCALED, *REFERRED)
    return known and problem.study.cluster is None and problem.options.cluster_variance == "jackknife"


def of_units(
    names: Sequence[str], count: Sequence[int], totals: np.ndarray, sums: np.ndarray, largest: np.ndarray,
    fitted: Sequence[int],
) -> Arms | None:  # fmt: skip
    """Units as clusters of their own; None where every arm has `FEW_UNITS` effective units.

    Parameters
    ----------
    names, count : sequence of A
        As `Arms` has them; units of positive weight.
    totals, largest : ndarray of shape (A,)
        The arm's weight, and the largest share of it that one unit holds.
    sums : ndarray of shape (A, 3)
        Σ h, Σ h², Σ h⁴ of the units' shares.
    fitted : sequence of A int
        Parameters that the arm's units fit besides its mean.

    Raises
    ------
    Refusal
        ``not_identified`` where a small arm has no unit more than its parameters.
    """
    effective = 1 / np.where(sums[:, 1] > 0, sums[:, 1], 1.0)
    if not ((totals > 0) & (effective < FEW_UNITS * (1 - ROUNDING))).any():
        return None
    for name, units, own in zip(names, count, fitted, strict=True):
        if own and 0 < units < own + 2:
            reason = f"{units} units are {name}, and the model fits {own + 1} parameters to them: {UNSEEN}"
            raise Refusal(reason, f"Use {own + 2 - units} covariates fewer, or more units", "not_identified")
    return Arms(
        tuple(names), tuple(int(c) for c in count), tuple(totals.tolist()), tuple(largest.tolist()), sums,
        int(sum(count)), tuple(fitted),
    )  # fmt: skip


UNSEEN = "how much such units vary cannot be seen"


def of_rows(by: By, arm: np.ndarray, w: np.ndarray, fitted: Sequence[int]) -> Arms | None:
    """`of_units` of rows in memory: the number of each row's arm (-1 for none) and its weight, shape (n,)."""
    inside = [w[arm == a] for a in range(len(by.names))]
    totals = np.array([own.sum() for own in inside])
    shares = [own / (total or 1.0) for own, total in zip(inside, totals.tolist(), strict=True)]
    sums = np.array([[np.sum(h**p) for p in (1, 2, 4)] for h in shares])
    count, largest = [int(np.sum(own > 0)) for own in inside], np.array([h.max(initial=0.0) for h in shares])
    return of_units(by.names, count, totals, sums, largest, fitted)


def as_clusters(arms: Arms, arm: np.ndarray, w: np.ndarray) -> Clustering:
    """What influence values of single units are multiplied by; see `Arms.factors`."""
    one_hot = np.where(arm[:, None] == np.arange(len(arms.names)), w[:, None], 0.0)
    return Clustering(np.arange(len(arm)), arms.factors(one_hot), arms.df)


def fitted(problem: Any, terms: int) -> int:
    """Parameters an arm that the estimator fits to all rows besides the arm's mean; ``terms``: columns of its model
    that vary.

    The stacked equations of ipw take the outcome's part along the propensity's columns out, and ipwra has a regression
    an arm: a residual each. Cross-fitted models do not see the rows whose errors count.
    """
    if problem.estimator in ("ipwra", "psm", "tvce") or (problem.estimator == "ope" and problem.options.folds == 1):
        return terms
    if problem.estimator == "ipw":
        return terms if problem.own("variance") == "stacked" else 0
    return 0


def model_of(problem: Any) -> tuple[str, ...]:
    """The terms of the model whose columns `fitted` counts."""
    if problem.estimator == "tvce":
        return problem.covariate_terms()
    of_outcome = problem.estimator in ("ipwra", "ope")
    return problem.options.outcome.covariates if of_outcome else problem.options.propensity.covariates


def scaled(problem: Any, std_error: float) -> float:
    """A standard error of an own variance, in the jackknife's size where the sample is small."""
    small = problem.small_sample()
    return std_error if small is None else std_error * small.inflation()


def models_of(problem: Any) -> tuple[tuple[str, ...], ...]:
    """The terms of the propensity and of the outcome regression."""
    return problem.options.propensity.covariates, problem.options.outcome.covariates


def check_folds(problem: Any, terms: int) -> None:
    """Refuse cross-fitted models of few units in a small sample; ``terms``: columns of the larger one.

    Raises
    ------
    Refusal
        ``not_identified``, with the counts.
    """
    arms, folds = problem.small_sample(), problem.options.folds
    if arms is None or folds == 1 or problem.options.learner != "linear":
        return
    least = UNITS_A_PARAMETER * (terms + 1)
    for name, count in zip(arms.names, arms.clusters, strict=True):
        outside = count * (folds - 1) // folds
        if outside < least:
            reason = (
                f"about {outside} of the {count} units that are {name} are outside a fold, and models of {terms + 1} "
                f"parameters need {least}: a few propensities near 0 or 1 would carry the estimate"
            )
            raise Refusal(reason, "Declare `folds: 1`, use fewer covariates, or read ipw", "not_identified")
