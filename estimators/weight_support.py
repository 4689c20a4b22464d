"""Whether enough units stand behind a weighted number, and what becomes of it where they do not: the one rule.

A number whose weights leave fewer than 30 effective units (Kish's (Σω)² / Σω², the least that the gate
``effective_sample_size`` lets pass), or give one unit more than a tenth of an arm's weight, is that of a few units: its
standard error, an average over as few, covers far less than it says (Owen 2013, ch. 9; Cole & Hernán 2008). An
effective size of 30 alone bounds the largest share at 18 %. Where there are fewer units than that anyway, weights may
cost half of them, and five even shares may be one unit's: a small sample tells its size by its own interval.

Weighted covariate means farther apart than a quarter of a standard deviation are not balanced (Rubin 2001; Stuart
2010), and a target more than a fifth of which lies where the study hardly has units is another population than the one
that is spoken of (the overlap gate's 80 %).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable

import numpy as np

from .inference import effective_sample_size
from .result import Diagnostic, Estimate

LEAST_EFFECTIVE = 30.0
MOST_SHARE = 0.1
EVEN_SHARES = 5
MOST_IMBALANCE = 0.25
MOST_OUTSIDE = 0.2


@dataclasses.dataclass(frozen=True)
class Behind:
    """What stands behind a number.

    Attributes
    ----------
    subject : str
    units : int
        With a weight.
    effective : float
        Effective units.
    largest : float or None
        The largest unit's share of the weight; None where it is not known.
    """

    subject: str
    units: int
    effective: float
    largest: float | None = None

    @classmethod
    def of(cls, subject: str, weights: np.ndarray) -> Behind:
        """From weights of shape (n,); their signs do not matter, and units without weight do not count."""
        size = np.abs(weights)
        total = float(size.sum())
        largest = float(size.max()) / total if total > 0 else None
        return cls(subject, int((size > 0).sum()), effective_sample_size(size), largest)

    @property
    def least(self) -> float:
        """Effective units that are asked for."""
        return min(LEAST_EFFECTIVE, self.units / 2)

    @property
    def most(self) -> float:
        """The largest share that is borne."""
        return max(MOST_SHARE, min(1.0, EVEN_SHARES / self.units)) if self.units else MOST_SHARE

    def diagnostics(self) -> list[Diagnostic]:
        """``effective_sample_size`` and ``max_weight`` (a share), held against what is asked."""
        enough = self.units > 0 and self.effective >= self.least
        out = [Diagnostic("effective_sample_size", self.subject, self.effective, self.least, enough)]
        if self.largest is not None:
            out.append(Diagnostic("max_weight", self.subject, self.largest, self.most, self.largest <= self.most))
        return out

    def failing(self) -> str | None:
        """Why the number must not be told, or None."""
        of = "" if self.subject == "overall" else f" of {self.subject}"
        if not self.effective >= self.least or not self.units:
            largest = "" if self.largest is None else f", and one unit holds {self.largest:.0%} of the weight"
            return (
                f"the weights{of} leave {self.effective:.3g} effective units of {self.units}, and {self.least:g} are "
                f"needed{largest}"
            )
        if self.largest is not None and not self.largest <= self.most:
            return f"one unit holds {self.largest:.0%} of the weight{of}, more than {self.most:.0%}"
        return None


def unsupported(
    rows: Iterable[Estimate], reasons: Collection[str], mend: str, spared: Collection[str] = ()
) -> tuple[Estimate, ...]:
    """The rows, refused where there are reasons; terms that are ``spared`` do not rest on the weights."""
    rows = tuple(rows)
    if not reasons:
        return rows
    reason = f"{'; '.join(reasons)}. {mend}"
    return tuple(
        one if one.term in spared or one.status != "estimated"
        else Estimate(one.estimand, one.term, one.contrast, status="refused", status_reason=reason)
        for one in rows
    )  # fmt: skip
