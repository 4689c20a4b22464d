"""Regression discontinuity of rows that stay in DuckDB."""

from __future__ import annotations

import dataclasses
from typing import Any

from ..discontinuity.rd import diagnostics
from ..discontinuity.rule import NEAREST, RULES, Ruling, Seen, TakeUp, ruling, told
from ..discontinuity.turned import mirrored, turned_back, words_turned_back
from ..errors import Refusal
from ..result import Diagnostic, Estimate, Result
from ..scan.stream import Column, Source, quoted
from ..terms import columns_of
from .local_fit import raw, streamed_fit
from .order_statistics import real
from .problem import Streamed, sizes
from .rd_curves import rd_bins, rd_fit, running_density
from .running import CELLS, Running
from .windows import Clusters


def rd(problem: Streamed, estimand: str) -> Result:
    """Effect of the treatment that the cutoff assigns, on units at it: lim E[Y | x ↓ c] − lim E[Y | x ↑ c], by scans.

    Rows, diagnostics and curves of `estimators.discontinuity.rd.rd`, by the same formulas: τ = μ₊ − μ₋ of local
    polynomials, robust bias-corrected. What is read: counts and moments of the columns; the rows sorted by the running
    variable once (only the window's with a declared bandwidth, grouped where it takes few values, and not at all with
    a declared bandwidth and clusters); the four windows of the bandwidth's choice and of the fit; bins by SQL. Python
    holds a block of 32,768 rows, up to 131,072 cells, or G numbers a form with clusters; DuckDB's sort spills.

    Parameters
    ----------
    problem : Streamed
        Roles outcome, running, cutoff; cutoff_rule, treatment and covariates optional. Options order, kernel,
        bandwidth, donut, covariates. Weights are not supported; clusters give CR1; rows with missing values are left
        out beforehand.
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
    rule = rule_of(problem, outside_donut(problem))
    used, whole = runnings(problem, terms, rule.turned)
    clusters = Clusters.of(problem, used.source)
    y = raw(study.outcome)
    signed = y if rule.sign > 0 else Column(y.name, f"-({y.sql})")
    taken = None if rule.sharp else raw(str(study.treatment))
    assert study.cutoff is not None
    with words_turned_back(study.cutoff, rule.turned):
        fitted = streamed_fit(used, signed, order, kernel, problem.own("bandwidth"), taken, covariates, clusters)
    fit = fitted.fit
    row = Estimate(
        estimand, contrast=rule.contrast, estimate=fit.estimate, std_error=fit.robust_se, statistic=fit.robust_z,
        p_value=fit.robust_p, conf_low=fit.robust_low, conf_high=fit.robust_high,
        n_units=used.rows, n_treated=_treated(used, rule, taken), n_trimmed=whole.rows - used.rows,
        n_clusters=None if clusters is None else len(clusters.keys),
        variance_estimator="robust_bias_corrected" if clusters is None else "cluster",
    )  # fmt: skip
    curves = (*rd_bins(used, y), *rd_fit(used, fitted, order, rule.sign), *running_density(whole))
    found = Result((row,), diagnostics(fit), curves)
    found = turned_back(found) if rule.turned else found
    return dataclasses.replace(found, diagnostics=(*found.diagnostics, *_told(used, rule)))


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


def outside_donut(problem: Streamed) -> Source:
    """The rows that are used."""
    return _outside(problem, problem.options.own.get("donut", 0.0))


def _outside(problem: Streamed, width: float) -> Source:
    study = problem.study
    assert study.running is not None
    assert study.cutoff is not None
    far = f"abs({quoted(study.running)}::double - {real(study.cutoff)}) >= {real(width)}"
    return problem.source.kept(far) if width > 0 else problem.source


def runnings(problem: Streamed, terms: tuple[str, ...], turned: bool) -> tuple[Running, Running]:
    """The running variable of the rows that are used, and of those inside the donut too (often the same object)."""
    study, donut = problem.study, problem.options.own.get("donut", 0.0)
    assert study.running is not None
    assert study.cutoff is not None
    read = [study.outcome, study.treatment, study.cluster, *(name for term in terms for name in columns_of(term))]
    keep = tuple(dict.fromkeys(name for name in read if name))
    found = []
    for width in (donut, 0.0):
        key = ("running", keep, width, turned)
        if key not in problem.cache:
            cutoff = mirrored(study.cutoff) if turned else study.cutoff
            problem.cache[key] = Running.of(_outside(problem, width), study.running, cutoff, keep, turned)
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


def rule_of(problem: Streamed, source: Source) -> Ruling:
    """The design's rule, from the declaration and the treatment of some rows: `estimators.discontinuity.rd.rule_of`."""
    study = problem.study
    assert study.running is not None
    assert study.cutoff is not None
    found = None if study.treatment is None else _seen(source, study.treatment, study.running, study.cutoff)
    return ruling(study.cutoff_rule, found, problem.own("treatment") == "side", study.treatment, study.cutoff)


def _seen(source: Source, treatment: str, running: str, cutoff: float) -> Seen:
    """`estimators.discontinuity.rule.seen` by two scans; the nearest rows only where some lie at the cutoff."""
    t, x, c = raw(treatment).sql, raw(running).sql, real(cutoff)
    asked = [f"count(*) filter (where {t} <> ({x} {rule} {c})::integer)" for rule in RULES]
    *against, at, mean, squares = source.one(", ".join([*asked, *_take_up(t, f"{x} = {c}")]))
    counts = dict(zip(RULES, map(int, against), strict=True))
    if not at or not all(against):
        near = [TakeUp(0, 0.0, 0.0)] * 2
    else:
        near = []
        for side in ("<", ">"):
            own = source.kept(f"{x} {side} {c}")
            wanted = max(NEAREST, int(at))
            nearest = own.sql(f"abs({x} - {c}) as d") + f" order by 1 limit {wanted}"
            reach = own.rows(f"select max(d) from ({nearest})")[0][0]
            near.append(_found(own.one(", ".join(_take_up(t, f"abs({x} - {c}) <= {real(reach or 0.0)}")))))
    return Seen(counts, _found((at, mean, squares)), near[0], near[1])


def _take_up(t: str, where: str) -> list[str]:
    return [f"{what} filter (where {where})" for what in ("count(*)", f"favg({t})", f"var_pop({t})")]


def _found(row: tuple[Any, ...]) -> TakeUp:
    rows, mean, variance = row
    return TakeUp(int(rows), mean or 0.0, (variance or 0.0) * int(rows))


def _treated(used: Running, rule: Ruling, taken: Column | None) -> int:
    if taken is not None:
        return int(used.source.one(f"count(*) filter (where {taken.sql} > 0)")[0])
    left, right = used.rows_of_sides()
    return right if rule.above != rule.turned else left


def _told(used: Running, rule: Ruling) -> list[Diagnostic]:
    """`estimators.discontinuity.rule.told` of the stream."""
    x, c = used.x.sql, real(used.cutoff)
    few = [side.distinct <= CELLS for side in (used.left, used.right)]
    asked = [f"count(*) filter (where {x} = {c})"]
    for is_few, side in zip(few, ("<", ">="), strict=True):
        asked.append(f"count(distinct {x}) filter (where {x} {side} {c})" if is_few else "0")
    at, *values = used.source.one(", ".join(asked))
    counted = [
        (rows if is_few else 0, int(n)) for rows, is_few, n in zip(used.rows_of_sides(), few, values, strict=True)
    ]
    left, right = reversed(counted) if rule.turned else counted
    return told(rule, int(at), (left, right))
