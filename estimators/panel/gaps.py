"""Steps between periods that are longer than the others: what a panel or a series does not hold."""

from __future__ import annotations

import numpy as np

from ..calendar import label_of
from ..result import Diagnostic
from ..study import Study
from .labels import label

# As many are named.
MOST = 10


def period_gaps(study: Study, periods: np.ndarray) -> tuple[Diagnostic, ...]:
    """``period_gap`` of the first ten periods after which the step is longer than the shortest one.

    Numbered periods count as they stand: event times and trends over 1, 2, 3, 7 are of those numbers, and nothing is
    filled in. The value is the step, the threshold the shortest; it never passes.

    Parameters
    ----------
    study : Study
    periods : ndarray of shape (T,)
        Distinct, ascending.
    """
    steps = np.diff(periods)
    if not len(steps):
        return ()
    least = float(steps.min())
    wide = np.flatnonzero(steps > least * (1 + 1e-9))[:MOST]
    return tuple(
        Diagnostic(
            "period_gap", f"after {label_of(study, float(periods[i])) or label(float(periods[i]))}", float(steps[i]),
            least, False,
        )
        for i in wide
    )  # fmt: skip
