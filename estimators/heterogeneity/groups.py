"""Average effects of groups by one modifier, as means of doubly robust scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..clusters import check
from ..errors import Refusal
from ..inference import standard_error
from ..problem import Problem
from ..terms import columns_of, expand, is_category, unique

MOST_LEVELS, MOST_CATEGORIES, LEAST = 6, 20, 5


@dataclass(frozen=True)
class Group:
    """Units with one level of a modifier, or in one third of its range: ``inside`` of shape (n,), boolean."""

    modifier: str
    label: str
    inside: np.ndarray

    @property
    def term(self) -> str:
        """``age=17 to 29``, ``female=1``."""
        return f"{self.modifier}={self.label}"


def groups(problem: Problem) -> tuple[list[Group], list[str]]:
    """Groups by each modifier, and the modifiers without: constant ones, products, texts of more than 20 values.

    A modifier of at most six values, or a category, gives a group a value; another three groups of a third of the
    weight each (fewer where values tie).
    """
    found: list[Group] = []
    without = []
    for term in problem.study.effect_modifiers:
        own = _groups(problem, term)
        found += own
        if len(own) < 2:
            without.append(term)
    kept = [g for g in found if g.modifier not in {_name(term) for term in without}]
    return unique(kept, lambda g: g.term), without  # `v` and `C(v)` make the same groups


def _name(term: str) -> str:
    return columns_of(term)[0] if is_category(term) else term


def _groups(problem: Problem, term: str) -> list[Group]:
    name = _name(term)
    if is_category(term):
        values = problem.columns[name]
        levels = sorted(set(values.tolist()))
        return [Group(name, _text(v), values == v) for v in levels] if len(levels) <= MOST_CATEGORIES else []
    values = expand(term, problem.columns).values
    if values.shape[1] != 1:
        return []
    x = values[:, 0]
    levels = np.unique(x).tolist()
    if len(levels) <= MOST_LEVELS:
        return [Group(name, _text(v), x == v) for v in levels]
    third = thirds(x, problem.w)
    masks = [third == g for g in np.unique(third)]
    return [Group(name, _range(x[m], len(f"{np.abs(x).max():.0f}")), m) for m in masks]


def thirds(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """The third of the weight in which each value's middle lies: shape (n,), 0 to 2; equal values go together."""
    _, codes = np.unique(x, return_inverse=True)
    total = np.bincount(codes, w)
    middle = (np.cumsum(total) - total / 2) / total.sum()
    return np.minimum((3 * middle).astype(int), 2)[codes]


def _range(x: np.ndarray, whole: int) -> str:
    """Ends of a third, with at least the digits before the point."""
    digits = min(max(whole, 6), 15)
    return f"{x.min():.{digits}g} to {x.max():.{digits}g}"


def _text(value: object) -> str:
    """All digits that a user would write: 2000001 and 2000002 are two levels."""
    return f"{value:.12g}" if isinstance(value, (int, float)) else str(value)


@dataclass(frozen=True)
class Average:
    """The mean score of a group, its standard error, influence values of shape (n,), and degrees of freedom of t."""

    estimate: float
    std_error: float
    influence: np.ndarray
    df: float | None


def average(problem: Problem, psi: np.ndarray, inside: np.ndarray) -> Average:
    """Σ w ψ / Σ w over the group; the standard error is that of a mean of its units, or of its clusters' sums."""
    w = problem.w * inside
    estimate = float(np.sum(w * psi) / w.sum())
    influence = len(psi) * w * (psi - estimate) / w.sum()
    own = influence[inside] * inside.sum() / len(psi)
    clusters = problem.clustering(inside)
    df = None if clusters is None else clusters.df
    return Average(estimate, standard_error(own, clusters, ddof=1), influence, df)


def too_few(problem: Problem, inside: np.ndarray) -> str | None:
    """Why a group has no row, or None."""
    used = inside & (problem.w > 0)
    if problem.kind != "binary" and used.sum() < 2 * LEAST:
        return f"{int(used.sum())} units in the group and {2 * LEAST} are needed"
    for arm, word in ((1, "treated"), (0, "untreated")) if problem.kind == "binary" else ():
        count = int((used & (problem.t == arm)).sum())
        if count < LEAST:
            return f"{count} {word} units in the group and {LEAST} are needed"
    if problem.cluster is not None and len(np.unique(problem.cluster[used].astype(str))) < 2:
        return f"the group lies in one cluster of '{problem.study.cluster}'"
    try:
        check(problem, used)
    except Refusal as refusal:
        return f"in the group {refusal.reason}"
    return None


def holm(p: list[float]) -> list[float]:
    """Holm's (1979) step-down adjustment: p-values of which each holds with all the others."""
    order = np.argsort(p, kind="stable")
    steps = np.asarray(p)[order] * np.arange(len(p), 0, -1)
    out = np.empty(len(p))
    out[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return [float(v) for v in out]
