"""One place that makes an Estimate from a number and its standard error."""

from __future__ import annotations

from typing import Any

from .inference import wald
from .result import Estimate, number


def made(estimand: str, estimate: float, std_error: float, df: float | None = None, **fields: Any) -> Estimate:
    """An estimated row with its test against zero and its 95 % interval.

    Parameters
    ----------
    estimand : str
    estimate, std_error : float
        In units of the outcome.
    df : float, optional
        Degrees of freedom of Student's t; the normal without.
    **fields
        Other fields of `Estimate`.
    """
    interval = wald(estimate, std_error, df)
    return Estimate(
        estimand,
        estimate=number(estimate),
        # A NaN is kept for `soundness.judged`: None is a row that has no standard error by design.
        std_error=float(std_error),
        statistic=interval.statistic,
        degrees_of_freedom=number(df),
        p_value=interval.p_value,
        conf_low=interval.conf_low,
        conf_high=interval.conf_high,
        **fields,
    )
