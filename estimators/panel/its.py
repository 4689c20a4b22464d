"""Interrupted time series: the path of an outcome against the one that its past foretells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import Refusal
from ..estimates import made
from ..inference import wald
from ..problem import Problem
from ..result import CurvePoint, Diagnostic, Estimate, Result
from .gaps import period_gaps
from .labels import label
from .left_out import naming_left_out
from .segmented import Segmented, design_of, least_squares, poisson
from .series import Series, series_of

# With fewer points a trend cannot be told from chance (Wagner et al. 2002 ask for twelve with seasons).
FEWEST_BEFORE, FEWEST_AFTER = 6, 3
LAGS = 12
# Autoregressive errors are handled by matrices of T x T; longer series get Newey-West, which needs length.
LONGEST = 2_000
# Errors that follow the one before more closely than this are as good as a random walk: of 150 series of 120 periods
# the interval of a level change covers in 93 of 100 with 0.9, and in 90 of 100 with 0.95.
LONGEST_MEMORY = 0.9


@dataclass(frozen=True)
class Path:
    """What is expected in each period with and without the intervention, and gradients in the coefficients.

    ``actual`` and ``without`` have shape (T,), ``gradient`` (of their difference) and ``gradient_without`` (T, k).
    """

    actual: np.ndarray
    without: np.ndarray
    gradient: np.ndarray
    gradient_without: np.ndarray


def its(problem: Problem, estimand: str) -> Result:
    """The effect of an intervention at a known date on the series after it, against the path that its past foretells.

    Gaussian: y_t = β₀ + β₁ (t − t₀) + β₂ D_t + β₃ (t − t₀) D_t + seasons + X_t'γ + u_t with D_t = 1 from t₀ on, least
    squares, standard errors for errors that follow the one before (`segmented.autoregressive`), Student's t with T − k
    degrees of freedom. Poisson: the same for log E[y_t] with log(exposure) as offset, and quasi-Poisson standard
    errors.

    The row ``overall`` is the mean over the periods after t₀ of what is fitted less the counterfactual (β₂ = β₃ = 0);
    ``last_period`` that of the last one, ``cumulative`` their sum (all in units of the outcome: of a mean, or of a
    count); ``level_change`` is β₂ and ``slope_change`` β₃; for counts ``rate_ratio`` is exp(β₂) and ``slope_ratio``
    exp(β₃), with intervals from the logarithm.

    Several units a period are averaged (Gaussian, with sampling weights) or added up with their populations (Poisson).
    A declared cluster has no bearing on a single series. Rows with missing values have been left out or refused before;
    ``units_per_period`` tells whether the series is made of the same number of units throughout.

    Covariates X (the study's, or the option ``covariates``) are averaged over the units of a period. They stand in the
    path without the intervention as they were seen, so it must not have moved them. With ``lags`` their values of so
    many periods before are covariates too; the first periods, which have none, are left out and counted (``n_trimmed``,
    ``periods_without_lags``). One whose mean never moves is left out (``covariate_dropped``).

    Options: ``family``, ``slope`` (whether β₃ is fitted), ``harmonics`` (pairs of sine and cosine of the length
    ``season``, in periods), ``variance`` (robust; newey_west with ``lag``, by default 4 (T / 100)^(2/9), rounded down,
    which is too narrow in series of a few hundred periods; model).

    Diagnostics: ``points`` before and after, ``durbin_watson``, ``autocorrelation`` of the residuals by lag held
    against 2 / √T, ``error_autocorrelation`` (ρ) and ``autocorrelation_left`` of u_t − ρ u_(t−1), ``dispersion``,
    ``placebo_level_change`` (t or z of a change half way through the past).
    Curve ``its_path``: series observed, fitted and counterfactual, the last with its interval.

    Raises
    ------
    Refusal
        For fewer than 6 periods before or 3 after t₀, a regression that cannot be fitted, a covariate that is collinear
        with the rest, or residuals before t₀ whose correlation with the one before is above 0.9.

    Sources
    -------
    Wagner et al. 2002; Lopez Bernal, Cummins & Gasparrini 2017; Newey & West 1987.
    """
    counts, at = problem.own("family") == "poisson", problem.study.intervention_time
    assert at is not None
    series = series_of(problem, counts, problem.own("lags"))
    with naming_left_out(problem):
        _check_length(series, at)
    fit = _fit(problem, series, at)
    _check_memory(fit)
    path = _path(fit, series, counts)
    fields: dict[str, object] = {"n_units": problem.n - series.n_lagged, "n_trimmed": series.n_lagged or None}
    fields["variance_estimator"] = _variance(problem, counts, len(series.y))
    rows = [
        *_on_the_outcome(fit, path, estimand, fields),
        *_coefficients(fit, estimand, fields),
        *(_ratios(fit, estimand, fields) if counts else ()),
    ]
    return Result(tuple(rows), _diagnostics(problem, fit, series, at), _curve(fit, path, series))


def _check_length(series: Series, at: float) -> None:
    before, after = int((series.period < at).sum()), int((series.period >= at).sum())
    for count, least, word in ((before, FEWEST_BEFORE, "before"), (after, FEWEST_AFTER, "from")):
        if count < least:
            reason = f"{count} periods {word} the intervention at {label(at)}, and {least} are needed"
            raise Refusal(reason, "Use shorter periods or a longer series", "not_identified")


def _check_memory(fit: Segmented) -> None:
    """Refuse errors before the intervention that hardly forget: no interval of a series covers then."""
    left = fit.residuals[~fit.design.after]
    found = _autocorrelation(left, 1)
    if found is not None and found > LONGEST_MEMORY:
        reason = (
            f"before the intervention residuals follow the one before with a correlation of {found:.3f}, and above "
        )
        reason += f"{LONGEST_MEMORY:g} a drift of the series cannot be told from an effect"
        raise Refusal(reason, "Declare covariates that explain the drift, or shorten the series", "not_identified")


def _autocorrelation(values: np.ndarray, lag: int) -> float | None:
    left = values - values.mean()
    total = float(left @ left)
    return float(left[lag:] @ left[:-lag]) / total if total > 0 and len(left) > lag else None


def _fit(problem: Problem, series: Series, at: float) -> Segmented:
    own = problem.own
    if not own("season") > 0:
        raise Refusal(f"season is {own('season'):g}", "Give its length in periods, such as 12")
    seasons = (own("harmonics"), own("season"))
    design = design_of(series.period, at, own("slope"), *seasons, series.x, series.names)
    if own("family") == "poisson":
        return poisson(series.y, series.exposure, design, own("variance") != "model")
    return least_squares(series.y, design, _lag(problem, len(series.y)))


def _lag(problem: Problem, periods: int) -> int | None:
    """Of Newey–West; 0 for ``variance: model``, which is HC1, and None for autoregressive errors."""
    own = problem.own("lag")
    if problem.own("variance") == "model":
        return 0
    if problem.own("variance") == "robust" and periods <= LONGEST:
        return None
    lag = int(4 * (periods / 100) ** (2 / 9)) if own is None else own
    if not 0 <= lag < periods:
        raise Refusal(f"lag is {lag}, and the series has {periods} periods", "Give a lag from 0 to a few periods")
    return lag


def _variance(problem: Problem, counts: bool, periods: int) -> str:
    kind = problem.own("variance")
    if counts:
        return "poisson" if kind == "model" else "quasi_poisson"
    if kind == "robust" and periods <= LONGEST:
        return "autoregressive"
    return "HC1" if kind == "model" else "newey_west"


def _path(fit: Segmented, series: Series, counts: bool) -> Path:
    x, without = fit.design.x, fit.design.without
    if not counts:
        return Path(fit.fitted, without @ fit.coef, x - without, without)
    foretold = np.exp(without @ fit.coef) * series.exposure
    return Path(
        fit.fitted, foretold, x * fit.fitted[:, None] - without * foretold[:, None], without * foretold[:, None]
    )


def _on_the_outcome(fit: Segmented, path: Path, estimand: str, fields: dict[str, object]) -> list[Estimate]:
    after = np.flatnonzero(fit.design.after)
    weights = {
        "overall": np.full(len(after), 1 / len(after)), "cumulative": np.ones(len(after)),
        "last_period": (after == after[-1]).astype(float),
    }  # fmt: skip
    rows = []
    for term, share in weights.items():
        gradient = share @ path.gradient[after]
        effect = float(share @ (path.actual - path.without)[after])
        std_error = float(np.sqrt(gradient @ fit.vcov @ gradient))
        rows.append(made(estimand, effect, std_error, fit.df, term=term, contrast="after - foretold", **fields))
    return rows


def _coefficients(fit: Segmented, estimand: str, fields: dict[str, object]) -> list[Estimate]:
    names = [name for name in ("level_change", "slope_change") if name in fit.design.names]
    at = [fit.design.names.index(name) for name in names]
    return [
        made(estimand, float(fit.coef[j]), float(np.sqrt(fit.vcov[j, j])), fit.df, term=name, contrast=name, **fields)
        for name, j in zip(names, at, strict=True)
    ]


def _ratios(fit: Segmented, estimand: str, fields: dict[str, object]) -> list[Estimate]:
    """Rate ratios: the test and the interval are those of the logarithm."""
    rows = []
    for name, term in (("level_change", "rate_ratio"), ("slope_change", "slope_ratio")):
        if name not in fit.design.names:
            continue
        j = fit.design.names.index(name)
        std_error = float(np.sqrt(fit.vcov[j, j]))
        log, ratio = wald(float(fit.coef[j]), std_error, fit.df), float(np.exp(fit.coef[j]))
        if log.conf_low is None or log.conf_high is None:
            continue
        rows.append(
            Estimate(
                estimand, term, "ratio", ratio, ratio * std_error, log.statistic, fit.df, log.p_value,
                float(np.exp(log.conf_low)), float(np.exp(log.conf_high)), **fields,  # type: ignore[arg-type]
            )
        )  # fmt: skip
    return rows


def _diagnostics(problem: Problem, fit: Segmented, series: Series, at: float) -> tuple[Diagnostic, ...]:
    e, after = fit.residuals, fit.design.after
    total = float(e @ e)
    rows = [
        Diagnostic("points", "before", float((~after).sum())), Diagnostic("points", "after", float(after.sum())),
        Diagnostic("units_per_period", "fewest", float(series.units.min())),
        Diagnostic("units_per_period", "most", float(series.units.max())),
        Diagnostic("dispersion", "overall", fit.dispersion),
        *(Diagnostic("covariate_dropped", f"{name}: the same in every period", None) for name in series.still),
        *([Diagnostic("periods_without_lags", "overall", float(problem.own("lags")))] if series.n_lagged else []),
    ]  # fmt: skip
    if total > 0:
        rows.append(Diagnostic("durbin_watson", "overall", float(np.sum(np.diff(e) ** 2)) / total))
        bound = 2 / np.sqrt(len(e))
        for j in range(1, min(LAGS, len(e) // 4) + 1):
            value = float((e[j:] - e.mean()) @ (e[:-j] - e.mean())) / float(np.sum((e - e.mean()) ** 2))
            rows.append(Diagnostic("autocorrelation", f"lag={j}", value, float(bound), bool(abs(value) < bound)))
        rows += _left(fit, float(bound))
    placebo = _placebo(problem, series, at)
    return (*rows, *period_gaps(problem.study, series.period), *(() if placebo is None else (placebo,)))


def _left(fit: Segmented, bound: float) -> list[Diagnostic]:
    """What the declared error model leaves: autocorrelation of u_t − ρ u_(t−1), where errors follow the one before."""
    if fit.rho is None:
        return []
    news = fit.residuals[1:] - fit.rho * fit.residuals[:-1]
    rows = [Diagnostic("error_autocorrelation", "lag=1", fit.rho)]
    for j in range(1, min(LAGS, len(news) // 4) + 1):
        value = _autocorrelation(news, j)
        if value is not None:
            rows.append(Diagnostic("autocorrelation_left", f"lag={j}", value, bound, bool(abs(value) < bound)))
    return rows


def _placebo(problem: Problem, series: Series, at: float) -> Diagnostic | None:
    """The statistic of a level change at a date when nothing happened; None where the past is too short."""
    past = series.period < at
    early = series.only(past)
    middle = float(early.period[len(early.period) // 2])
    try:
        _check_length(early, middle)
        fit = _fit(problem, early, middle)
    except Refusal:
        return None
    j = fit.design.names.index("level_change")
    if not fit.vcov[j, j] > 0:
        return None
    value = float(fit.coef[j] / np.sqrt(fit.vcov[j, j]))
    return Diagnostic("placebo_level_change", f"time={label(middle)}", value, 1.96, bool(abs(value) < 1.96))


def _curve(fit: Segmented, path: Path, series: Series) -> tuple[CurvePoint, ...]:
    points = []
    for i, period in enumerate(series.period):
        x, text = float(period), label(period)
        points.append(CurvePoint("its_path", "observed", x, float(series.y[i]), text))
        points.append(CurvePoint("its_path", "fitted", x, float(path.actual[i]), text))
        if fit.design.after[i]:
            g = path.gradient_without[i]
            band = wald(float(path.without[i]), float(np.sqrt(g @ fit.vcov @ g)), fit.df)
            points.append(
                CurvePoint("its_path", "counterfactual", x, float(path.without[i]), text, band.conf_low, band.conf_high)
            )
    return tuple(points)
