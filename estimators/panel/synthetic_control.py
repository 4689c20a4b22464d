"""Synthetic control (Abadie, Diamond & Hainmueller 2010): on outcomes, on predictors, or ridge-augmented."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import Refusal
from ..problem import Problem
from ..result import CurvePoint, Diagnostic, Estimate, Result, number
from .conformal import Conformal, Pieces, conformal, hull
from .donors import DonorPool, Synthetic, donor_pool
from .labels import label
from .placebo import PlaceboTest, averaged, mean_of, placebo_sets, placebo_test, placebos
from .recipe import Recipe, recipe_of
from .robustness import VISIBLE_WEIGHT, Backdated, LeftOut, backdated, leave_one_out

KKT_LIMIT = 1e-8
SHOWN_SETS = 50  # placebo averages whose paths are kept for the picture


@dataclass(frozen=True)
class Found:
    """Everything that is told: the treated unit's fit, those of several one by one, placebos and checks."""

    own: Synthetic
    ones: tuple[Synthetic, ...]
    placebo_names: tuple[str, ...]
    others: tuple[Synthetic, ...]
    test: PlaceboTest
    conformal: Conformal | None
    left_out: tuple[LeftOut, ...]
    backdated: Backdated | None


def synthetic_control(problem: Problem, estimand: str) -> Result:
    """Effect on the treated after treatment: their outcome minus that of a weighted average of donors.

    w minimises ‖Y₁ − Y₀ w‖² over the periods before treatment, w ≥ 0 and Σw = 1 (`simplex`), and
    α_t = Y₁t − Σ_j w_j Y_jt. Row ``overall`` is the mean of α_t over periods from the first treated one, rows
    ``time=…`` are the α_t. With ``predictors`` w matches those, with importance V such that the outcomes are
    followed (`predictors.nested`); ``method: augmented`` lets a ridge regression take off what the simplex leaves
    unmatched (`augmented`).

    Several treated units, all from the same period on, are one: their average (``several: average``), or each has its
    own synthetic control and the α_t are averaged (``each``, with rows ``unit=…``). With a declared cluster the means
    of the clusters' rows are the units, and treatment must be the cluster's.

    Inference is placebo in space: each donor (as many donors as there are treated units, averaged) is treated in
    turn, and the p-value of ``overall`` is the rank of the treated unit's ratio of RMSPE after to before treatment
    among all (`placebo`); there is no standard error and no interval. ``statistic`` is that ratio. Diagnostics
    ``conformal_p``, ``conformal_low`` and ``conformal_high`` are a second test and the hull of its 95 % set, by
    permutation over time (`conformal`; not with predictors or ``each``); ``conformal_set`` has the set's pieces, where
    there are several also those of single periods; curve ``synthetic_effect`` has them by period.

    Parameters
    ----------
    problem : Problem
        Roles unit, time, cohort (first treated period of the treated; NULL for donors), outcome, and cluster.
        Options method, predictors, several, placebo_draws, placebo_rmspe_multiple, conformal. Weights are not
        supported; covariates are matched on only as predictors.
    estimand : str
        ATT.

    Returns
    -------
    Result
        In units of the outcome. Diagnostics also tell the donors' weights, the range of effects when a donor is left
        out, and the effect found in time before treatment (``placebo_time_effect``).

    Raises
    ------
    Refusal
        See `donors.donor_pool` (missing cells are refused, not filled) and `recipe.recipe_of`.

    References
    ----------
    Abadie & Gardeazabal (2003), AER 93; Abadie, Diamond & Hainmueller (2010), JASA 105, and (2015), AJPS 59; outcomes
    only as in Doudchenko & Imbens (2016) with their simplex; Ben-Michael, Feller & Rothstein (2021), JASA 116;
    Chernozhukov, Wüthrich & Zhu (2021), JASA 116.
    """
    if problem.own("placebo_draws") < 1:
        raise Refusal(f"placebo_draws is {problem.own('placebo_draws')}", "Give 1 or more")
    pool = donor_pool(problem)
    recipe = recipe_of(problem, pool)
    found = _fits(problem, pool, recipe)
    return Result(
        (_overall(estimand, pool, found), *_by_period(estimand, pool, found), *_by_unit(estimand, pool, found)),
        _diagnostics(pool, recipe, found),
        (*_path(pool, found), *_gaps(pool, found), *_checks(pool, found)),
    )


def _fits(problem: Problem, pool: DonorPool, recipe: Recipe) -> Found:
    several, singly = len(pool.treated_names), problem.own("several") == "each"
    singly = singly and several > 1
    sets = placebo_sets(len(pool.donors), several, problem.own("placebo_draws"), problem.study.seed)
    if singly:
        ones = tuple(recipe.one(pool, i) for i in range(several))
        own = mean_of(ones, np.mean([one.gap for one in ones], axis=0), np.arange(several))
        every = np.arange(len(pool.donors))[:, None]
        others = averaged(placebos(pool, recipe, every), sets) if len(sets) else ()
    else:
        ones, own = (), recipe.treated(pool)
        others = placebos(pool, recipe, sets)
    names = pool.donors if several == 1 else tuple(f"set {i + 1}" for i in range(len(sets)))
    asked = problem.own("conformal")
    by_time = conformal(pool, own, asked == "periods") if _permutes(recipe, singly, asked) else None
    return Found(
        own, ones, names, others, placebo_test(pool, own, others, problem.own("placebo_rmspe_multiple")), by_time,
        () if singly else leave_one_out(pool, recipe, own), None if singly else backdated(pool, recipe),
    )  # fmt: skip


def _permutes(recipe: Recipe, singly: bool, asked: str) -> bool:
    return asked != "none" and recipe.predictors is None and not singly


def _overall(estimand: str, pool: DonorPool, found: Found) -> Estimate:
    return Estimate(
        estimand, estimate=float(found.own.gap[pool.n_pre :].mean()), statistic=number(found.test.ratio),
        p_value=found.test.p_value, variance_estimator="placebo_in_space", status_reason=found.test.reason,
        **pool.counts,
    )  # fmt: skip


def _by_period(estimand: str, pool: DonorPool, found: Found) -> list[Estimate]:
    after = zip(pool.periods[pool.n_pre :], found.own.gap[pool.n_pre :], strict=True)
    return [Estimate(estimand, f"time={label(t)}", estimate=float(gap), **pool.counts) for t, gap in after]


def _by_unit(estimand: str, pool: DonorPool, found: Found) -> list[Estimate]:
    counts = {**pool.counts, "n_units": len(pool.donors) + 1, "n_treated": 1}
    return [
        Estimate(estimand, f"unit={name}", estimate=float(one.gap[pool.n_pre :].mean()), **counts)
        for name, one in zip(pool.treated_names, found.ones, strict=bool(found.ones))
    ]


def _diagnostics(pool: DonorPool, recipe: Recipe, found: Found) -> tuple[Diagnostic, ...]:
    own, test = found.own, found.test
    worst = max(o.fit.kkt_gap for o in (own, *found.others))
    return (
        *_weights(pool, found),
        *_predictor_rows(recipe, found),
        Diagnostic("pre_rmspe", "overall", own.pre_rmspe),
        Diagnostic("post_pre_rmspe_ratio", "overall", number(test.ratio)),
        Diagnostic("placebo_rank", "overall", float(test.rank) if test.count else None),
        Diagnostic("placebo_count", "overall", float(test.count)),
        Diagnostic("placebo_p", "overall", test.p_value),
        Diagnostic("kkt_gap", "overall", own.fit.kkt_gap, KKT_LIMIT, own.fit.kkt_gap <= KKT_LIMIT),
        Diagnostic("kkt_gap", "placebos", worst, KKT_LIMIT, worst <= KKT_LIMIT),
        *([] if own.penalty is None else [Diagnostic("ridge_penalty", "overall", own.penalty)]),
        *([] if pool.n_clusters is None else [Diagnostic("units_incomplete", "overall", float(pool.n_incomplete))]),
        *_check_rows(pool, found),
    )


def _weights(pool: DonorPool, found: Found) -> list[Diagnostic]:
    """Donors' weights; their mean where several units have their own."""
    fits = [one.fit.weights for one in found.ones] or [found.own.fit.weights]
    weights = zip(pool.donors, np.mean(fits, axis=0), strict=True)
    return [Diagnostic("donor_weight", donor, float(w)) for donor, w in weights if abs(w) > VISIBLE_WEIGHT]


def _predictor_rows(recipe: Recipe, found: Found) -> list[Diagnostic]:
    """What each predictor counts, and its value in the treated, the synthetic and the average donor."""
    predictors, own = recipe.predictors, found.own
    if predictors is None or own.importance is None:
        return []
    values = {
        "predictor_weight": own.importance, "predictor_treated": predictors.treated.mean(axis=1),
        "predictor_synthetic": predictors.donors @ own.fit.weights, "predictor_donors": predictors.donors.mean(axis=1),
    }  # fmt: skip
    return [
        Diagnostic(metric, name, float(v))
        for metric, column in values.items()
        for name, v in zip(predictors.names, column, strict=True)
    ]


def _check_rows(pool: DonorPool, found: Found) -> list[Diagnostic]:
    rows: list[Diagnostic] = []
    if found.conformal is not None:
        low, high = found.conformal.interval or (None, None)
        rows += [Diagnostic("conformal_p", "overall", found.conformal.p_value)]
        rows += [Diagnostic("conformal_low", "overall", low), Diagnostic("conformal_high", "overall", high)]
        rows += _sets(pool, found.conformal)
    if found.left_out:
        effects = [one.effect for one in found.left_out]
        rows += [Diagnostic("leave_one_out_low", "overall", min(effects))]
        rows += [Diagnostic("leave_one_out_high", "overall", max(effects))]
        rows += [Diagnostic("leave_one_out", one.donor, one.effect) for one in found.left_out]
    if found.backdated is not None:
        rows += [Diagnostic("placebo_time_effect", "overall", found.backdated.effect)]
        rows += [Diagnostic("placebo_time_ratio", "overall", number(found.backdated.ratio))]
    return rows


def _sets(pool: DonorPool, found: Conformal) -> list[Diagnostic]:
    """How many pieces each conformal set has, and which; low and high are its hull, which also holds the gaps."""
    named = [("overall", found.accepted)]
    named += [(f"time={label(t)}", own) for t, own in zip(pool.periods[pool.n_pre :], found.each, strict=True)]
    return [
        Diagnostic("conformal_set", f"{name}: {_words(pieces)}", float(len(pieces)), 1.0, len(pieces) == 1)
        for name, pieces in named
        if len(pieces) > 1 or (pieces and name == "overall")
    ]


def _words(pieces: Pieces) -> str:
    return " and ".join(f"[{low:.6g}, {high:.6g}]" for low, high in pieces)


def _path(pool: DonorPool, found: Found) -> list[CurvePoint]:
    paths = {"treated": pool.y1, "synthetic": pool.y1 - found.own.gap}
    return [point for series, y in paths.items() for point in _points("synthetic_path", series, pool, y)]


def _gaps(pool: DonorPool, found: Found) -> list[CurvePoint]:
    named = [("treated", found.own)]
    named += [(f"placebo:{name}", o) for name, o in zip(found.placebo_names, found.others, strict=True)][
        : len(found.others) if len(pool.treated_names) == 1 else SHOWN_SETS
    ]
    return [point for series, one in named for point in _points("synthetic_gap", series, pool, one.gap)]


def _checks(pool: DonorPool, found: Found) -> list[CurvePoint]:
    """Curves ``synthetic_effect``, ``synthetic_leave_one_out`` and ``synthetic_placebo_time``."""
    points: list[CurvePoint] = []
    if found.conformal is not None:
        after = zip(pool.periods[pool.n_pre :], found.own.gap[pool.n_pre :], found.conformal.each, strict=True)
        for t, gap, pieces in after:
            low, high = hull(pieces) or (None, None)
            points.append(CurvePoint("synthetic_effect", "conformal", float(t), float(gap), label(t), low, high))
    for one in found.left_out:
        points += _points("synthetic_leave_one_out", f"without:{one.donor}", pool, one.gap)
    if found.backdated is not None:
        for i, (t, gap) in enumerate(zip(pool.periods, found.backdated.gap, strict=False)):
            series = "fitted" if i < found.backdated.n_fitted else "held out"
            points.append(CurvePoint("synthetic_placebo_time", series, float(t), float(gap), label(t)))
    return points


def _points(curve: str, series: str, pool: DonorPool, y: np.ndarray) -> list[CurvePoint]:
    return [CurvePoint(curve, series, float(t), float(v), label(t)) for t, v in zip(pool.periods, y, strict=True)]
