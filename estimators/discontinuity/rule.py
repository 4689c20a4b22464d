"""Which side of the cutoff is treated, and where the rows exactly at it lie: declared, or read off the treatment.

A rule compares the running variable with the cutoff: ``>=``, ``>``, ``<=`` or ``<``, and the rows for which it holds
are those that the design treats. Rows at the cutoff lie right under ``>=`` and ``<``, left under ``<=`` and ``>``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..errors import Refusal
from ..result import Diagnostic

# The first that fits stands where no row lies at the cutoff, and it is the one that turns nothing.
RULES = (">=", "<", ">", "<=")
USUAL = ">="
# Rows next to the cutoff that tell a side's take-up; fewer rows at the cutoff than that decide nothing by themselves.
NEAREST = 20
# Rows that share another's value, as a share of a side: rdrobust's own bound; and values that are still counted.
TIED, MOST_VALUES = 0.2, 2**17
# The likelihood ratio, in logarithms, that places the rows at the cutoff: 20 to 1 (Royall 1997 calls 8 fairly strong).
PLACED = float(np.log(20))
# Farther than this share of the jump from both sides, and by so many standard errors, they are like neither.
BETWEEN, SURELY_APART = 0.25, 3.0


@dataclass(frozen=True)
class TakeUp:
    """The treatment in some rows: how many, its mean, and the sum of squares about it."""

    rows: int
    mean: float
    squares: float

    @classmethod
    def of(cls, t: np.ndarray) -> TakeUp:
        """From shape (n,)."""
        return cls(len(t), float(t.mean()), float(np.sum((t - t.mean()) ** 2))) if len(t) else cls(0, 0.0, 0.0)


@dataclass(frozen=True)
class Seen:
    """What the treatment shows of the rule.

    Attributes
    ----------
    against : mapping of rule to int
        Rows whose treatment is not 1 exactly where the rule holds.
    at, left, right : TakeUp
        Of the rows at the cutoff, and of the nearest ones strictly on either side: as many as lie at the cutoff, or 20.
    """

    against: Mapping[str, int]
    at: TakeUp
    left: TakeUp
    right: TakeUp


@dataclass(frozen=True)
class Ruling:
    """A rule, and whether every row's treatment follows it (sharp).

    Attributes
    ----------
    rule : str
    sharp : bool
    against : int or None
        Rows whose treatment does not follow a declared rule; None where it is not declared or they all do.
    """

    rule: str
    sharp: bool
    against: int | None = None

    @property
    def above(self) -> bool:
        """Whether the treated side is the right one."""
        return self.rule.startswith(">")

    @property
    def turned(self) -> bool:
        """Whether rows at the cutoff lie left: numbers are then those of the mirrored variable −x at −c."""
        return self.rule in (">", "<=")

    @property
    def contrast(self) -> str:
        """Treated side less untreated side, or compliers' 1 less 0."""
        if not self.sharp:
            return "1 - 0"
        return "right - left" if self.above else "left - right"

    @property
    def sign(self) -> float:
        """By which the outcome's jump (right less left, after turning) is multiplied."""
        return 1.0 if not self.sharp or self.above != self.turned else -1.0


def holds(rule: str, x: np.ndarray, cutoff: float) -> np.ndarray:
    """Where the rule holds: shape (n,), boolean."""
    compare = {">=": np.greater_equal, ">": np.greater, "<=": np.less_equal, "<": np.less}[rule]
    return np.asarray(compare(x, cutoff))


def seen(t: np.ndarray, x: np.ndarray, cutoff: float) -> Seen:
    """What a treatment and a running variable of shape (n,) show."""
    at = t[x == cutoff]
    near = []
    for side in (x < cutoff, x > cutoff):
        distance = np.abs(x[side] - cutoff)
        wanted = min(max(NEAREST, len(at)), len(distance))
        reach = np.partition(distance, wanted - 1)[wanted - 1] if wanted else 0.0
        near.append(TakeUp.of(t[side][distance <= reach]))
    against = {rule: int(np.sum(t != holds(rule, x, cutoff))) for rule in RULES}
    return Seen(against, TakeUp.of(at), near[0], near[1])


def ruling(declared: str | None, found: Seen | None, by_side: bool, treatment: str | None, cutoff: float) -> Ruling:
    """The rule of a design.

    Parameters
    ----------
    declared : str, optional
        ``cutoff_rule``. It stands, and rows that do not follow it make the design fuzzy.
    found : Seen, optional
        None without a treatment: then ``>=`` stands unless another is declared.
    by_side : bool
        Whether the side itself is the treatment: the column then only tells where rows at the cutoff lie.
    treatment : str, optional
        The column's name, for what a refusal says.
    cutoff : float

    Notes
    -----
    Undeclared, a treatment that is 1 exactly where one of the rules holds gives it. Else the design is fuzzy, and the
    rows at the cutoff go to the side whose take-up next to it theirs resembles: by the likelihood ratio of two normal
    means with a common variance, with the smaller number of rows of the two that are compared. Where neither is 20
    times as likely, or theirs lies surely between, fewer than 20 rows stay right, by the usual rule, and more are
    refused.

    Raises
    ------
    Refusal
        Where the treatment follows another rule exactly than the declared one, or the rows at the cutoff cannot be
        placed.
    """
    exact = [] if found is None else [rule for rule in RULES if found.against[rule] == 0]
    if by_side or found is None:
        at_left = bool(exact) and exact[0] in (">", "<=")
        return Ruling(declared or (">" if at_left else USUAL), sharp=True)
    if declared is not None:
        if declared not in exact and exact:
            reason = (
                f"the treatment '{treatment}' is 1 exactly where the running variable is {exact[0]} {cutoff:g}, and "
                f"the study declares cutoff_rule '{declared}'{_where(exact[0], declared, found.at.rows)}"
            )
            raise Refusal(reason, f'Declare `cutoff_rule: "{exact[0]}"`, or mend the treatment in the units')
        return Ruling(declared, declared in exact, found.against[declared] or None)
    if exact:
        return Ruling(exact[0], sharp=True)
    right = _at_right(found, treatment, cutoff)
    above = found.right.mean >= found.left.mean
    return Ruling((">=" if right else ">") if above else ("<" if right else "<="), sharp=False)


def _where(followed: str, declared: str, rows: int) -> str:
    """Where the two rules differ, if only in the rows at the cutoff."""
    if followed[0] != declared[0]:
        return ""
    side = "treated" if "=" in followed else "untreated"
    return f": the {rows} rows at the cutoff are on the {side} side"


def _at_right(found: Seen, treatment: str | None, cutoff: float) -> bool:
    """Whether the rows at the cutoff are like those right of it; see `ruling`."""
    evidence, is_between = _evidence(found)
    if found.at.rows < NEAREST or (abs(evidence) >= PLACED and not is_between):
        return evidence > -PLACED
    shares = f"{found.left.mean:.3g} left of it, {found.at.mean:.3g} at it and {found.right.mean:.3g} right of it"
    reason = (
        f"the {found.at.rows} rows at the cutoff {cutoff:g} cannot be placed: the take-up of '{treatment}' is "
        f"{shares}, which puts them on neither the treated nor the untreated side"
    )
    raise Refusal(reason, 'Declare the side that they are assigned to, as `cutoff_rule: ">="` or another of >, <=, <')


def _evidence(found: Seen) -> tuple[float, bool]:
    """Log likelihood ratio that the rows at the cutoff belong right, and whether they are like neither side.

    (0, False) where no rows lie there, or there is nothing to compare.
    """
    parts = (found.at, found.left, found.right)
    if not all(part.rows for part in parts):
        return 0.0, False
    to_left, to_right = (abs(found.at.mean - side.mean) for side in parts[1:])
    freedom = max(sum(part.rows for part in parts) - 3, 1)
    variance = sum(part.squares for part in parts) / freedom
    rows = 1 / (1 / found.at.rows + 1 / min(found.left.rows, found.right.rows))
    nearest, jump = min(to_left, to_right), abs(found.right.mean - found.left.mean)
    is_between = nearest > BETWEEN * jump and nearest**2 * rows > SURELY_APART**2 * variance
    gap = to_left**2 - to_right**2
    if variance <= 0:
        return (float(np.copysign(np.inf, gap)) if gap else 0.0), is_between
    return rows * gap / (2 * variance), is_between


def told(rule: Ruling, at_cutoff: int, sides: tuple[tuple[int, int], tuple[int, int]]) -> list[Diagnostic]:
    """What a reader must know of the rule and of a running variable in steps.

    ``rows_at_cutoff``, of the side that they are counted to; ``rows_against_rule``, whose treatment does not follow a
    declared rule; ``mass_points``, distinct values of a side of which a fifth of the rows or more share another's.
    ``sides`` are rows and distinct values, left and right; a side with more than 131,072 values tells nothing.
    """
    out = []
    if at_cutoff:
        out.append(Diagnostic("rows_at_cutoff", "left" if rule.turned else "right", float(at_cutoff)))
    if rule.against:
        out.append(Diagnostic("rows_against_rule", rule.rule, float(rule.against)))
    for name, (rows, values) in zip(("left", "right"), sides, strict=True):
        if rows and values <= MOST_VALUES and 1 - values / rows >= TIED:
            out.append(Diagnostic("mass_points", name, float(values)))
    return out
