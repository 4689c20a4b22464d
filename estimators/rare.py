"""Levels too rare for a model of who is treated: one rule for rows in memory, streams and engines.

A level of a category (or the few units that differ in a near-constant column) of which one arm has no unit, in all rows
or outside a fold, has no finite coefficient in a logit or probit (Albert & Anderson 1984). Few units of one arm only do
not show, however, that the propensity there is near 0 or 1: with 0 of n treated its upper 95 % limit is 1 − 0.05^(1/n)
(Hanley & Lippman-Hand 1983), which is within the bounds of support, a tenth, up to n = 28. So:

- a level of at most 28 such units is pooled with the level that is left out: its column does not enter the model. A
  rare level that is itself the one left out is pooled with the largest of its category;
- a larger one is refused by name: its propensity is known to be out of bounds, and no pooling may hide it;
- so is a study where the pooled levels together hold a fifth of the units: overlap asks for the other four.

The model of all rows pools what lacks an arm in all rows; cross-fitted models, all alike, what lacks it outside one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from .errors import Refusal
from .overlap import LOW
from .result import Diagnostic

Fitted = TypeVar("Fitted")

# The most units of one arm only that do not show a propensity below LOW: (1 − LOW)^n ≥ 0.05.
MOST = math.floor(math.log(0.05) / math.log(1 - LOW))
# Whose propensity is that of all rows, and whose is cross-fitted.
OF_ALL_ROWS = ("ipw", "ipwra", "psm", "stratification")
CROSSFITTED = ("ope", "cate", "causal_forest")
# Share of the units whose levels may be pooled; the gate on overlap asks for the others.
SHARE = 0.2


@dataclass(frozen=True)
class Pooled:
    """A level that a model pools.

    Attributes
    ----------
    name : str
        ``site=B``.
    column : str
        That leaves the model.
    units : int
    fold : int or None
        The first fold outside of which it lacks an arm; None where it lacks one in all rows.
    """

    name: str
    column: str
    units: int
    fold: int | None

    def __str__(self) -> str:
        """In a reader's words."""
        where = "in all rows" if self.fold is None else f"outside fold {self.fold}"
        return f"{self.name}: {self.units} units, of one arm only {where}"


@dataclass(frozen=True)
class Split:
    """Units that differ from the rest of a column.

    Attributes
    ----------
    name : str
        How the units are told: ``site=B``, or the column and its value.
    columns : tuple of str
        What leaves the model if they are pooled: one column.
    counts : ndarray of shape (folds, 2)
        Those units, untreated and treated, a fold each.
    """

    name: str
    columns: tuple[str, ...]
    counts: np.ndarray


@dataclass(frozen=True)
class Judged:
    """What is pooled, the columns that leave the model, and larger levels that lack an arm, in words."""

    pooled: tuple[Pooled, ...]
    columns: frozenset[str]
    too_large: tuple[str, ...]


def categories(names: Sequence[str]) -> dict[str, list[int]]:
    """Places of the indicators of each category, by the column's name: of ``site=B`` that is ``site``."""
    found: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        if "=" in name and ":" not in name:
            found.setdefault(name.split("=", 1)[0], []).append(i)
    return found


def splits_of(names: Sequence[str], others: np.ndarray, base: dict[str, np.ndarray], units: int) -> list[Split]:
    """Sets of units that a model may lack an arm of.

    Parameters
    ----------
    names : sequence of k str
    others : ndarray of shape (k, 2, folds, 2)
        Of each column the units, by fold and arm, whose value is not 0 and (second) not 1.
    base : dict of category to ndarray of shape (folds, 2)
        Units at the level that is left out.
    units : int
        All that were counted.
    """
    out, groups = [], categories(names)
    for category, counts in base.items():
        if any(others[i].sum() != units for i in groups[category]):  # not of zeros and ones: a column named so
            continue
        largest = max(groups[category], key=lambda i: int(others[i, 0].sum()))
        out.append(Split(f"the first level of {category}", (names[largest],), counts))
    for i, name in enumerate(names):
        # Of zeros and ones, or constant but for a few.
        two = others[i].sum() == units
        sides = ((name, others[i, 0]), (f"{name} not 1", others[i, 1]))
        out += [Split(label, (name,), counts) for label, counts in sides if two or counts.sum() <= MOST]
    return out


def judge(splits: Sequence[Split], arms: np.ndarray, whole: bool) -> Judged:
    """What the rule above makes of them.

    Parameters
    ----------
    splits : sequence of Split
    arms : ndarray of shape (folds, 2)
        All units with a weight, untreated and treated, a fold each.
    whole : bool
        Whether the model of all rows is meant; else those of the rows outside each fold.
    """
    pooled: list[Pooled] = []
    columns: set[str] = set()
    too_large: list[str] = []
    for one in splits:
        total = one.counts.sum(axis=0)
        for fold in (None,) if whole else range(len(one.counts)):
            untreated, treated = total if fold is None else total - one.counts[fold]
            left = arms.sum(axis=0) - (0 if fold is None else arms[fold])
            if (untreated > 0) == (treated > 0) or left.min() <= 0:  # without an arm there is no model at all
                continue
            n = int(untreated + treated)
            if n > MOST:
                where = "" if fold is None else f" outside fold {fold}"
                too_large.append(f"of {n} units with {one.name}{where} {int(treated)} are treated")
            elif not columns & set(one.columns):
                pooled.append(Pooled(one.name, one.columns[0], int(total.sum()), fold))
                columns |= set(one.columns)
            break
    units = int(arms.sum())
    if pooled and sum(one.units for one in pooled) >= SHARE * units:
        share = sum(one.units for one in pooled) / units
        listed = ", ".join(one.name for one in pooled[:3])
        too_large.append(
            f"{len(pooled)} levels too rare for a model ({listed}, …) hold {100 * share:.0f} % of the units"
        )
    return Judged(tuple(pooled), frozenset(columns), tuple(too_large))


def refusal(judged: Judged, bad: Refusal) -> Refusal:
    """The refusal of a model that pooling does not save: it names the levels where they are the cause."""
    if not judged.too_large:
        return bad
    reason = (
        f"{'; '.join(judged.too_large[:3])}: no propensity model converges, as they predict the treatment perfectly"
    )
    return Refusal(reason, "Leave those units out of the population, or group their levels with others in the units")


def splits_in_memory(
    names: Sequence[str], x: np.ndarray, t: np.ndarray, folds: np.ndarray, used: np.ndarray
) -> tuple[list[Split], np.ndarray]:
    """The sets of units of columns of shape (n, k), and all units by fold and arm, among the rows that are used."""
    x, arm, fold = x[used], (t[used] == 1).astype(np.intp), folds[used]
    cell, n_folds = 2 * fold + arm, int(folds.max()) + 1

    def by_cell(marked: np.ndarray) -> np.ndarray:
        return np.bincount(cell[marked], minlength=2 * n_folds).reshape(n_folds, 2)

    others = np.array([[by_cell(column != 0), by_cell(column != 1)] for column in x.T]).reshape(-1, 2, n_folds, 2)
    base = {name: by_cell((x[:, at] == 0).all(axis=1)) for name, at in categories(names).items()}
    return splits_of(names, others, base, len(x)), by_cell(np.ones(len(x), dtype=bool))


def pooled_fit(
    fit: Callable[[frozenset[str]], Fitted], judged_for: Callable[[], Judged]
) -> tuple[Fitted, tuple[Pooled, ...]]:
    """A model, fitted again without rare levels where it does not converge with them.

    Parameters
    ----------
    fit : callable
        Takes the columns to leave out (a frozen set of names) and gives the model; raises a Refusal.
    judged_for : callable
        Gives `Judged`; asked only where the model does not converge.

    Returns
    -------
    The model, and the levels that it pools.

    Raises
    ------
    Refusal
        Where pooling does not save it: names the larger levels of one arm, if that is why.
    """
    try:
        return fit(frozenset()), ()
    except Refusal as bad:
        judged = judged_for()
        if judged.too_large or not judged.columns:
            raise refusal(judged, bad) from None
        return fit(judged.columns), judged.pooled


def diagnostics(pooled: Sequence[Pooled]) -> tuple[Diagnostic, ...]:
    """``level_pooled``: of each level that a model pools the units, by level and where it lacks an arm."""
    return tuple(Diagnostic("level_pooled", str(one), float(one.units)) for one in pooled)


def without(x: np.ndarray, names: tuple[str, ...], left_out: frozenset[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Columns and names without some; the same array where none is left out, so that no last digit moves."""
    if not left_out:
        return x, names
    keep = [i for i, name in enumerate(names) if name not in left_out]
    return x[:, keep], tuple(names[i] for i in keep)
