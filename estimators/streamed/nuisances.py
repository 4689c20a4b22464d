"""The outcome's regressions outside each fold, solved from the shared scan's sums: linear forms of a row's columns."""

from __future__ import annotations

import numpy as np

from ..errors import Refusal
from ..moments import Moments
from ..scan.solve import Least, interact, least_squares
from .problem import Streamed


def outcome_forms(problem: Streamed) -> np.ndarray:
    """E[Y | T = a, X] by least squares outside each fold: forms of (1, z), shape (2, folds, p + 1); a = 0 first.

    As `estimators.nuisance.outcome_regressions`, from `Streamed.moments`: z are its columns and the value is in units
    of its standardised outcome. One fold means no cross-fitting. Sampling weights enter the sums.

    Raises
    ------
    Refusal
        If rows are too few for a regression, or all units fall into one fold.
    """
    key = ("outcome", problem.options.outcome, problem.n_folds)
    return problem.kept(key, lambda: _forms(problem))


def _forms(problem: Streamed) -> np.ndarray:
    products = problem.products()
    names, folds = problem.names(problem.options.outcome.covariates), problem.n_folds
    arms = problem.arm(0), problem.arm(1)
    out = []
    for k in range(folds):
        train = tuple(arm.without(k) if folds > 1 else arm for arm in arms)
        try:
            if products is None:
                out.append([predicted(least_squares(arm, problem.study.outcome, names)) for arm in train])
            else:
                out.append(_pooled(problem, train, names, products))
        except ValueError as few:
            raise Refusal(f"the outcome regression cannot be fitted: {few}", "Use fewer covariates or folds") from None
    return np.array(out).transpose(1, 0, 2)


def predicted(fit: Least) -> np.ndarray:
    """The fitted value as a form of (1, z)."""
    form = -fit.form()
    form[fit.target] = 0.0
    return form


def _pooled(
    problem: Streamed, arms: tuple[Moments, ...], names: tuple[str, ...], products: tuple[str, ...]
) -> list[np.ndarray]:
    """One regression of both arms on the columns, the treatment and its products with some of them."""
    study = problem.study
    assert study.treatment is not None
    both = Moments(
        arms[0].names, arms[0].shift, arms[0].scale, np.array([arm.total() for arm in arms]),
        np.array([arm.rows.sum() for arm in arms]),
    )  # fmt: skip
    labels = tuple(f"(treatment):{name}" for name in products)
    mixed = interact(both, products, labels, both.total()[0])
    fit = least_squares(mixed.moments, study.outcome, (*names, study.treatment, *labels))
    forms = mixed.of_rows(predicted(fit)[None, None])[:, 0]
    at = both.names.index(study.treatment)
    for arm, form in enumerate(forms):
        # Everybody's treatment is set to the arm.
        form[0] += form[at + 1] * (arm - both.shift[at]) / both.scale[at]
        form[at + 1] = 0.0
    return list(forms)
