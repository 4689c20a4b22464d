"""Panel matching: starts of treatment against units with the same treatment history, in differences."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import Refusal
from ..estimates import made
from ..problem import Problem
from ..result import CurvePoint, Diagnostic, Estimate, Result
from ..sample import check_sample
from ..thresholds import limit
from .cohorts import FEWEST_TREATED
from .frame import by_unit
from .lag_balance import Balance, lag_balance
from .left_out import check_treatment
from .matched_sets import Found, MatchedSet, Wide, find_sets, read_wide
from .refinement import Refinement, refine


@dataclass(frozen=True)
class Sums:
    """What each unit (or cluster) gives to the numerators and the denominator of the effects.

    Attributes
    ----------
    gains : ndarray of shape (G, F + 1)
        A_gf: its weighted changes of the outcome from t − 1 to t + f, over the sets that it is in.
    starts : ndarray of shape (G,)
        B_g: its starts of treatment that have a set.
    """

    gains: np.ndarray
    starts: np.ndarray

    @property
    def effects(self) -> np.ndarray:
        """Effects at the leads: shape (F + 1,)."""
        return np.asarray(self.gains.sum(axis=0) / self.starts.sum())


def panel_matching(problem: Problem, estimand: str) -> Result:
    """The effect of starting treatment now on the outcome f periods later, among those who start (ATT).

    For each (i, t) with X_i,t−1 = 0 and X_it = 1 the matched set M_it holds the units with the same treatments from
    t − L to t − 1 that are untreated in t; refinement gives them weights w (`refinement.refine`). With D_it = 1 for
    starts whose set is not empty,

        δ(f) = Σ_it D_it {(Y_i,t+f − Y_i,t−1) − Σ_j w_j (Y_j,t+f − Y_j,t−1)} / Σ_it D_it.

    Rows ``lead=0`` to ``lead=F``, and ``overall``, their average, in units of the outcome. Later treatment is left as
    it was unless ``stay``: the effect is that of starting, not of staying.

    Standard errors: ``bootstrap`` draws units (clusters) with their sums Σ_t W_it Y_it, so that sets and weights are
    kept (Imai, Kim & Wang's default, and ours); ``conditional`` √{G Var(A_g)} / Σ D given the treatments, with every
    unit counted where R's PanelMatch counts those in a set; ``unconditional`` adds the sampling of starts,
    √{G Var(A_g − δ B_g)} / Σ D. None counts the choice of controls. Intervals are normal.

    Periods are counted in their order. A cell that is absent, or lacks the treatment, equals another such cell in the
    same period (``match_missing``) or nothing; starts and controls without an outcome in t − 1 … t + F are left out.
    Rows that lack a value stay under ``missing: drop`` (`Estimator.reads`: ``panel_with_gaps``). Weights are not
    supported; a declared cluster must not change within a unit, and is what the bootstrap draws.

    Options: ``lags`` L, ``leads`` F, ``refinement`` (by default mahalanobis with covariates, none without),
    ``matches``, ``lagged_outcome`` (off: matching on outcomes finds chance highs and lows, which pass), ``current``,
    ``listwise``, ``covariance``, ``match_missing``, ``stay``, ``variance``, ``bootstrap`` draws, ``covariates``.

    Diagnostics: ``starts`` found, with a set, ``empty`` and ``incomplete``; ``set_size``, ``controls_used`` (weights
    above zero); ``lag_smd_unmatched`` and ``lag_smd`` of the outcome and the covariates by lag. Curves:
    ``panel_matching_leads`` (the effects with intervals), ``lag_balance``.

    Raises
    ------
    Refusal
        For a treatment other than 0 and 1 or that begins in another period than a declared cohort, options out of
        range, a cluster that changes within a unit; with status
        ``not_identified`` for too few periods, no start, no set, or fewer than five units that start.

    Sources
    -------
    Imai, Kim & Wang 2021 (AJPS 67, 2023); weights and distances as in R PanelMatch 3.1.
    """
    check_sample(problem)
    if np.nanmax(problem.y) == np.nanmin(problem.y):
        reason = f"the outcome '{problem.study.outcome}' is the same in every row that has one"
        raise Refusal(reason, "Check the outcome in the units")
    _check_options(problem)
    if problem.kind != "binary":
        reason = f"the treatment '{problem.study.treatment}' has values other than 0 and 1"
        raise Refusal(reason, "Recode it, or use an estimator for doses")
    check_treatment(problem, may_end=True)
    own = problem.own
    terms = problem.covariate_terms()
    wide = read_wide(problem, terms)
    found = find_sets(wide, own("lags"), own("leads"), own("match_missing"), own("stay"))
    sets = refine(wide, found.sets, _refinement(problem, terms))
    _check_starts(sets, found)
    sums = _grouped(problem, wide, unit_sums(wide, sets, own("leads")))
    draws = bootstrap(sums, own("bootstrap"), problem.study.seed) if own("variance") == "bootstrap" else None
    rows = _rows(problem, estimand, wide, found, sets, sums, draws)
    balance = lag_balance(wide, sets, own("lags"), problem.study.outcome)
    return Result(tuple(rows), _diagnostics(found, sets, balance), (*_leads(rows), *_balance_curve(balance)))


def unit_sums(wide: Wide, sets: tuple[MatchedSet, ...], leads: int) -> Sums:
    """Sums of each unit: gains of shape (n, F + 1), starts (n,)."""
    gains, starts = np.zeros((len(wide.units), leads + 1)), np.zeros(len(wide.units))
    for s in sets:
        ahead = slice(s.period, s.period + leads + 1)
        gains[s.unit] += wide.y[s.unit, ahead] - wide.y[s.unit, s.period - 1]
        change = wide.y[s.controls, ahead] - wide.y[s.controls, s.period - 1][:, None]
        gains[s.controls] -= s.weights[:, None] * change
        starts[s.unit] += 1
    return Sums(gains, starts)


def bootstrap(sums: Sums, draws: int, seed: int) -> np.ndarray:
    """Effects of resampled units, their sums kept: shape (draws, F + 1); draws without a start are drawn again."""
    rng, groups = np.random.default_rng(seed), len(sums.starts)
    share = np.full(groups, 1 / groups)
    out = np.empty((draws, sums.gains.shape[1]))
    for b in range(draws):
        times = rng.multinomial(groups, share)
        while not times @ sums.starts > 0:
            times = rng.multinomial(groups, share)
        out[b] = times @ sums.gains / (times @ sums.starts)
    return out


def standard_error(sums: Sums, share: np.ndarray, kind: str, draws: np.ndarray | None) -> float:
    """Of the effects' combination ``share`` (shape F + 1): see `panel_matching`."""
    if draws is not None:
        return float((draws @ share).std(ddof=1))
    gain = sums.gains @ share
    if kind == "unconditional":
        gain = gain - (sums.effects @ share) * sums.starts
    return float(np.sqrt(len(gain) * gain.var(ddof=1)) / sums.starts.sum())


def _check_options(problem: Problem) -> None:
    for name, least in (("lags", 1), ("leads", 0), ("matches", 1), ("bootstrap", 2)):
        if problem.own(name) < least:
            raise Refusal(f"{name} is {problem.own(name)}", f"Give {least} or more")


def _check_starts(sets: tuple[MatchedSet, ...], found: Found) -> None:
    units = len({s.unit for s in sets})
    if units < FEWEST_TREATED:
        reason = (
            f"{units} units start treatment and have controls, and {FEWEST_TREATED} are needed for a standard error; "
            f"of {found.starts} starts {found.empty} were left out before as nobody has their history, "
            f"{found.incomplete} as outcomes or steady treatments are lacking"
        )
        raise Refusal(reason, "Ask for fewer lags or leads, or use synthetic_control", "not_identified")


def _refinement(problem: Problem, terms: tuple[str, ...]) -> Refinement:
    own = problem.own
    method = own("refinement") or ("mahalanobis" if terms else "none")
    return Refinement(
        method, own("matches"), own("lags"), own("leads"), own("lagged_outcome"), own("current"), own("listwise"),
        own("covariance"),
    )  # fmt: skip


def _grouped(problem: Problem, wide: Wide, sums: Sums) -> Sums:
    """Sums by cluster, where one is declared."""
    if problem.cluster is None:
        return sums
    assert problem.study.cluster is not None
    labels = by_unit(problem.cluster, wide.code, wide.units, problem.study.cluster)
    _, group = np.unique(labels.astype(str), return_inverse=True)
    gains, starts = np.zeros((group.max() + 1, sums.gains.shape[1])), np.zeros(group.max() + 1)
    np.add.at(gains, group, sums.gains)
    np.add.at(starts, group, sums.starts)
    return Sums(gains, starts)


def _rows(
    problem: Problem, estimand: str, wide: Wide, found: Found, sets: tuple[MatchedSet, ...], sums: Sums,
    draws: np.ndarray | None,
) -> list[Estimate]:  # fmt: skip
    leads = problem.own("leads")
    shares = {"overall": np.full(leads + 1, 1 / (leads + 1))}
    shares |= {f"lead={f}": row for f, row in enumerate(np.eye(leads + 1))}
    kind = problem.own("variance")
    used = {s.unit for s in sets} | {int(j) for s in sets for j in s.controls[s.weights > 0]}
    fields = {
        "n_units": len(used), "n_treated": len(sets), "n_trimmed": found.starts - len(sets),
        "n_clusters": None if problem.cluster is None else len(sums.starts), "variance_estimator": kind,
    }  # fmt: skip
    return [
        made(estimand, float(sums.effects @ share), standard_error(sums, share, kind, draws), term=term,
             contrast="start - not yet", **fields)
        for term, share in shares.items()
    ]  # fmt: skip


def _diagnostics(found: Found, sets: tuple[MatchedSet, ...], balance: tuple[Balance, ...]) -> tuple[Diagnostic, ...]:
    sizes = np.array([len(s.controls) for s in sets], dtype=float)
    used = np.array([np.sum(s.weights > 0) for s in sets], dtype=float)
    rows = [
        Diagnostic("starts", "found", float(found.starts)), Diagnostic("starts", "with_set", float(len(sets))),
        Diagnostic("starts", "empty", float(found.empty)),
        # Listwise deletion may leave out more than the search for sets did.
        Diagnostic("starts", "incomplete", float(found.starts - found.empty - len(sets))),
        Diagnostic("set_size", "smallest", float(sizes.min())),
        Diagnostic("set_size", "median", float(np.median(sizes))),
        Diagnostic("set_size", "largest", float(sizes.max())), Diagnostic("controls_used", "mean", float(used.mean())),
    ]  # fmt: skip
    for one in balance:
        subject = f"{one.name}:lag={one.back}"
        rows.append(Diagnostic("lag_smd_unmatched", subject, one.before, limit("balance")))
        passing = None if one.after is None else bool(abs(one.after) < limit("balance"))
        rows.append(Diagnostic("lag_smd", subject, one.after, limit("balance"), passing))
    return tuple(rows)


def _leads(rows: list[Estimate]) -> list[CurvePoint]:
    return [
        CurvePoint("panel_matching_leads", "effect", float(f), row.estimate, f"t+{f}", row.conf_low, row.conf_high)
        for f, row in enumerate(rows[1:])
    ]


def _balance_curve(balance: tuple[Balance, ...]) -> list[CurvePoint]:
    return [
        CurvePoint("lag_balance", f"{one.name}, {when}", -float(one.back), value, f"t-{one.back}")
        for one in balance
        for when, value in (("all untreated", one.before), ("matched", one.after))
    ]
