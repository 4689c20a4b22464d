"""Regression discontinuity of rows that stay in DuckDB."""

from __future__ import annotations

from dataclasses import dataclass

from ..discontinuity.rd import contrast, diagnostics
from ..errors import Refusal
from ..result import Estimate, Result
from ..scan.stream import Column, Source, quoted
from ..terms import columns_of
from .local_fit import raw, streamed_fit
from .order_statistics import real
from .problem import Streamed, sizes
from .rd_curves import rd_bins, rd_fit, running_density
from .running import Running
from .windows import Clusters


@dataclass(frozen=True)
class Assigned:
    """How treatment follows the cutoff: `estimators.discontinuity.rd.Assignment`, with the treated counted."""

    contrast: str
    sign: float
    taken: Column | None
    treated: int


def rd(problem: Streamed, estimand: str) -> Result:
    """Effect of crossing the cutoff on units at the cutoff: lim E[Y | x ↓ c] − lim E[Y | x ↑ c], by scans.

    Rows, diagnostics and curves of `estimators.discontinuity.rd.rd`, by the same formulas: τ = μ₊ − μ₋ of local
    polynomials, robust bias-corrected. What is read: counts and moments of the columns; the rows sorted by the running
    variable once (only the window's with a declared bandwidth, grouped where it takes few values, and not at all with
    a declared bandwidth and clusters); the four windows of the bandwidth's choice and of the fit; bins by SQL. Python
    holds a block of 32,768 rows, up to 131,072 cells, or G numbers a form with clusters; DuckDB's sort spills.

    Parameters
    ----------
    problem : Streamed
        Roles outcome, running, cutoff; treatment and covariates optional. Options order, kernel, bandwidth, donut,
        covariates. Weights are not supported; clusters give CR1; rows with missing values are left out beforehand.
    estimand : str
        LATE, local to the cutoff.

    Raises
    ------
    Refusal
        As the in-memory `estimators.discontinuity.rd.rd`; and for ``model: parametric`` and ``checks``.

    References
    ----------
    Calonico, Cattaneo & Titiunik (2014), Econometrica 82; Calonico, Cattaneo, Farrell & Titiunik (2019), REStat 101.
    """
    study = problem.study
    check_options(problem)
    order, kernel = problem.own("order"), problem.own("kernel")
    terms = problem.covariate_terms()
    covariates = problem.columns(terms)
    check_finite(problem.source, covariates)
    used, whole = runnings(problem, terms)
    how = _assigned(problem, used)
    clusters = Clusters.of(problem, used.source)
    y = raw(study.outcome)
    signed = y if how.sign > 0 else Column(y.name, f"-({y.sql})")
    fitted = streamed_fit(used, signed, order, kernel, problem.own("bandwidth"), how.taken, covariates, clusters)
    fit = fitted.fit
    row = Estimate(
        estimand, contrast=how.contrast, estimate=fit.estimate, std_error=fit.robust_se, statistic=fit.robust_z,
        p_value=fit.robust_p, conf_low=fit.robust_low, conf_high=fit.robust_high,
        n_units=used.rows, n_treated=how.treated, n_trimmed=whole.rows - used.rows,
        n_clusters=None if clusters is None else len(clusters.keys),
        variance_estimator="robust_bias_corrected" if clusters is None else "cluster",
    )  # fmt: skip
    curves = (*rd_bins(used, y), *rd_fit(used, fitted, order, how.sign), *running_density(whole))
    return Result((row,), diagnostics(fit), curves)


def check_options(problem: Streamed) -> None:
    """Refuse what is only done with the rows in memory."""
    for option, usual in (("model", "local"), ("checks", False)):
        value = problem.own(option)
        if value != usual:
            told = str(value).lower()
            reason = f"rd with `{option}: {told}` holds its rows in memory, and {problem.n} are more than"
            raise Refusal(
                f"{reason} the row_budget of {problem.study.row_budget}", "Raise row_budget, or drop the option"
            )


def runnings(problem: Streamed, terms: tuple[str, ...]) -> tuple[Running, Running]:
    """The running variable of the rows that are used, and of those inside the donut too (often the same object)."""
    study, donut = problem.study, problem.options.own.get("donut", 0.0)
    assert study.running is not None
    assert study.cutoff is not None
    read = [study.outcome, study.treatment, study.cluster, *(name for term in terms for name in columns_of(term))]
    keep = tuple(dict.fromkeys(name for name in read if name))
    found = []
    for width in (donut, 0.0):
        key = ("running", keep, width)
        if key not in problem.cache:
            far = f"abs({quoted(study.running)}::double - {real(study.cutoff)}) >= {real(width)}"
            source = problem.source.kept(far) if width > 0 else problem.source
            problem.cache[key] = Running.of(source, study.running, study.cutoff, keep)
        found.append(problem.cache[key])
    return found[0], found[1]


def check_finite(source: Source, columns: tuple[Column, ...]) -> None:
    """Refuse a term without a finite number in every row (a logarithm of zero), as `Problem.matrix` does."""
    risky = [column for column in columns if "infinity" in column.sql or "pow(" in column.sql or "*" in column.sql]
    if not risky:
        return
    for problem in sizes(source, risky).values():
        if problem is not None:
            raise Refusal(problem, "Mend the term or the column")


def _assigned(problem: Streamed, used: Running) -> Assigned:
    """Sharp or fuzzy, from the treatment and the side."""
    name = None if problem.own("treatment") == "side" else problem.study.treatment
    right = f"({used.x.sql} >= {real(used.cutoff)})::integer"
    if name is None:
        return Assigned(*contrast(True, False), None, used.right.rows)
    t = raw(name)
    off_right, off_left, treated = used.source.one(
        f"count(*) filter (where {t.sql} <> {right}), count(*) filter (where {t.sql} <> 1 - {right}), "
        f"count(*) filter (where {t.sql} > 0)"
    )
    label, sign = contrast(off_right == 0, off_left == 0)
    return Assigned(label, sign, t if off_right and off_left else None, treated)
