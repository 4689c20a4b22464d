"""Synthetic control for one treated unit, on outcomes alone (Abadie, Diamond & Hainmueller 2010)."""

from __future__ import annotations

import numpy as np

from ..problem import Problem
from ..result import CurvePoint, Diagnostic, Estimate, Result, number
from .donors import DonorPool, Synthetic, donor_pool, synthetic
from .frame import label
from .placebo import PlaceboTest, placebo_test, placebos

KKT_LIMIT = 1e-8
VISIBLE_WEIGHT = 1e-6


def synthetic_control(problem: Problem, estimand: str) -> Result:
    """Effect on the treated unit after treatment: its outcome minus that of a weighted average of donors.

    w minimises ‖Y₁ − Y₀ w‖² over the periods before treatment, w ≥ 0 and Σw = 1 (`simplex`), and
    α_t = Y₁t − Σ_j w_j Y_jt. Row ``overall`` is the mean of α_t over periods from the first treated one, rows
    ``time=…`` are the α_t. Covariates are not matched on.

    Inference is placebo in space: each donor is treated in turn, and the p-value of ``overall`` is the rank of the
    treated unit's ratio of RMSPE after to before treatment among all (`placebo`); there is no standard error and no
    interval. ``statistic`` is that ratio.

    Parameters
    ----------
    problem : Problem
        Roles unit, time, cohort (first treated period of the one treated unit; 0 or NULL for donors) and outcome.
        Option placebo_rmspe_multiple. Weights and clusters are not supported.
    estimand : str
        ATT.

    Raises
    ------
    Refusal
        See `donors.donor_pool`: missing cells are refused, not filled.

    References
    ----------
    Abadie, Diamond & Hainmueller (2010), JASA 105; outcomes only as in Doudchenko & Imbens (2016) with their simplex.
    """
    pool = donor_pool(problem)
    own, others = synthetic(pool.y1, pool.y0, pool.n_pre), placebos(pool)
    test = placebo_test(pool, own, others, problem.own("placebo_rmspe_multiple"))
    return Result(
        (_overall(estimand, pool, own, test), *_by_period(estimand, pool, own)),
        _diagnostics(pool, own, others, test),
        (*_path(pool, own), *_gaps(pool, own, others)),
    )


def _overall(estimand: str, pool: DonorPool, own: Synthetic, test: PlaceboTest) -> Estimate:
    return Estimate(
        estimand, estimate=float(own.gap[pool.n_pre :].mean()), statistic=number(test.ratio), p_value=test.p_value,
        n_units=len(pool.donors) + 1, n_treated=1, variance_estimator="placebo_in_space",
    )  # fmt: skip


def _by_period(estimand: str, pool: DonorPool, own: Synthetic) -> list[Estimate]:
    n = len(pool.donors) + 1
    after = zip(pool.periods[pool.n_pre :], own.gap[pool.n_pre :], strict=True)
    return [Estimate(estimand, f"time={label(t)}", estimate=float(gap), n_units=n, n_treated=1) for t, gap in after]


def _diagnostics(
    pool: DonorPool, own: Synthetic, others: tuple[Synthetic, ...], test: PlaceboTest
) -> tuple[Diagnostic, ...]:
    worst = max(o.fit.kkt_gap for o in (own, *others))
    weights = zip(pool.donors, own.fit.weights, strict=True)
    return (
        *(Diagnostic("donor_weight", donor, float(w)) for donor, w in weights if w > VISIBLE_WEIGHT),
        Diagnostic("pre_rmspe", "overall", own.pre_rmspe),
        Diagnostic("post_pre_rmspe_ratio", "overall", number(test.ratio)),
        Diagnostic("placebo_rank", "overall", float(test.rank)),
        Diagnostic("placebo_count", "overall", float(test.count)),
        Diagnostic("placebo_p", "overall", test.p_value),
        Diagnostic("kkt_gap", "overall", own.fit.kkt_gap, KKT_LIMIT, own.fit.kkt_gap <= KKT_LIMIT),
        Diagnostic("kkt_gap", "placebos", worst, KKT_LIMIT, worst <= KKT_LIMIT),
    )


def _path(pool: DonorPool, own: Synthetic) -> list[CurvePoint]:
    paths = {"treated": pool.y1, "synthetic": pool.y1 - own.gap}
    return [point for series, y in paths.items() for point in _points("synthetic_path", series, pool, y)]


def _gaps(pool: DonorPool, own: Synthetic, others: tuple[Synthetic, ...]) -> list[CurvePoint]:
    named = [("treated", own), *zip((f"placebo:{d}" for d in pool.donors), others, strict=True)]
    return [point for series, one in named for point in _points("synthetic_gap", series, pool, one.gap)]


def _points(curve: str, series: str, pool: DonorPool, y: np.ndarray) -> list[CurvePoint]:
    return [CurvePoint(curve, series, float(t), float(v), label(t)) for t, v in zip(pool.periods, y, strict=True)]
