"""The design of a streamed discontinuity: the running variable's density and the covariates' continuity, by scans."""

from __future__ import annotations

from functools import partial

from ..discontinuity.density import continuity_p
from ..discontinuity.design import CONTINUITY, continuity_row, density_row, needed, unplaced
from ..discontinuity.local import LocalFit
from ..discontinuity.turned import mirrored, words_turned_back
from ..errors import Refusal
from ..result import DesignRow
from ..scan import columns as scan_columns
from ..scan.stream import Column, Source
from ..terms import columns_of
from .facts import missing
from .local_fit import streamed_fit
from .problem import Streamed
from .rd import check_finite, rule_of
from .running import Running
from .windows import Clusters


def discontinuity_design(problem: Streamed) -> list[DesignRow]:
    """Design rows of a discontinuity study: those of `estimators.discontinuity.design.discontinuity_design`.

    The density test reads every unit that has a running variable, and draws no sample: sums over its windows are
    enough (`estimators.discontinuity.density`). Each covariate column takes the scans of a local fit; the rows are
    sorted once for all of them, and once more for each term that is missing in some rows.
    """
    own = problem.for_run("rd", "default")
    assert own.study.running is not None
    assert own.study.cutoff is not None
    try:
        turned = _is_turned(own)
    except Refusal as refusal:
        return unplaced(own.study, refusal)
    running = _running(own, own.source, turned)
    cutoff = own.study.cutoff
    rows = [density_row(lambda: continuity_p(running), cutoff, turned)]
    for term in own.study.covariates:
        try:
            with words_turned_back(cutoff, turned):
                rows += _continuity_rows(own, term, running)
        except Refusal as refusal:
            rows.append(DesignRow("rd", CONTINUITY, term, None, str(refusal)))
    return rows


def _is_turned(problem: Streamed) -> bool:
    """Whether rows at the cutoff lie left; of the rows that have a treatment."""
    source, name = problem.source, problem.study.treatment
    if name is not None and problem.facts.columns[name].missing:
        source = source.kept(f"not {missing(name, problem.types)}")
    return rule_of(problem, source).turned


def _running(problem: Streamed, source: Source, turned: bool) -> Running:
    study = problem.study
    assert study.running is not None
    assert study.cutoff is not None
    read = [study.cluster, *(name for term in study.covariates for name in columns_of(term))]
    cutoff = mirrored(study.cutoff) if turned else study.cutoff
    return Running.of(source, study.running, cutoff, tuple(name for name in read if name), turned)


def _continuity_rows(problem: Streamed, term: str, running: Running) -> list[DesignRow]:
    study, source = problem.study, problem.source
    gaps = [name for name in needed(term, study.cluster) if problem.facts.columns[name].missing]
    for name in gaps:
        source = source.kept(f"not {missing(name, problem.types)}")
    own = _running(problem, source, running.turned) if gaps else running
    assert study.cutoff is not None
    cutoff = study.cutoff
    try:
        columns = scan_columns.columns(source, (term,))
    except ValueError as bad:
        raise Refusal(str(bad), "Mend the term or the column") from None
    check_finite(source, columns)
    clusters = Clusters.of(problem, source)
    ends = source.one(", ".join(f"min({column.sql}) < max({column.sql})" for column in columns)) if columns else ()
    order, kernel = problem.own("order"), problem.own("kernel")

    def fit(column: Column) -> LocalFit:
        return streamed_fit(own, column, order, kernel, clusters=clusters).fit

    pairs = zip(columns, ends, strict=True)
    return [
        continuity_row(column.name, bool(varies), partial(fit, column), cutoff, running.turned)
        for column, varies in pairs
    ]
