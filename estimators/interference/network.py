"""Direct, indirect and total effects of a treatment that spills over along a declared network."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import Refusal
from ..estimates import made
from ..problem import Problem
from ..result import CurvePoint, Diagnostic, Estimate, Result
from ..sample import check_sample, counts
from .design_based import Experiment, contrast, experiment_of, support_diagnostics
from .exposure import LEVELS, Level, label
from .graph import Graph, graph_of
from .pictures import degree_histogram, graph_points, outcome_by_treated_neighbours
from .places import with_places
from .regression import EXPECTED, OTHER, coefficient, exposure

ESTIMANDS = ("DIRECT", "INDIRECT", "TOTAL")
# Own treatment, and whether any neighbour is treated.
AGAINST_NONE: dict[str, Level] = {"DIRECT": (1, 0), "INDIRECT": (0, 1), "TOTAL": (1, 1)}
RANDOMISED = ("experiment", "network")


def network(problem: Problem, estimand: str) -> Result:
    """The effect of own treatment (DIRECT), of neighbours' treatment (INDIRECT) or of both (TOTAL) on a unit.

    A unit's outcome is taken to depend on its own treatment T and on an exposure G to its neighbours' treatments only.
    An edge says that ``source`` names ``target`` as a neighbour; ``undirected`` lets it hold both ways.

    ``method: regression`` (the default unless the design is experiment or network): Y = α + τ T + δ G + γ E + X'β + u.
    G is the share of neighbours treated, 0 without neighbours (``mapping: fraction``), or whether any is (``any``); E
    is what is expected of G given the number of neighbours, so that units with many neighbours are not compared with
    units with few. DIRECT is τ, INDIRECT δ (all neighbours treated, or any, instead of none), TOTAL τ + δ. The
    variance is clustered by the declared cluster; else by connected component, if there are as many as 20 equal ones;
    else summed over pairs with an own or neighbour's treatment in common, and not below HC1; HC1 alone where such
    pairs are above 50 million, and a diagnostic then says that it is too narrow under spillover. Student's t.

    ``method: hajek`` (the default in experiments) and ``horvitz_thompson``: exposures d = (T, any neighbour treated),
    μ(d) = Σ 1(D = d) y / π(d), divided by Σ 1(D = d) / π(d) or by n. DIRECT is μ(1,0) − μ(0,0), INDIRECT μ(0,1) −
    μ(0,0), TOTAL μ(1,1) − μ(0,0), all over the units with every exposure at least ``least_probability`` probable;
    others are left out and counted. π and the joint probabilities are exact for ``randomisation: bernoulli`` (p is the
    study's ``allocation``, or the share treated), ``complete`` (a fixed number of units) and ``cluster`` (a fixed
    number of clusters; the default where treatment never varies in one). ``variance: network`` sums influence values
    over pairs with an own or neighbour's node in common; ``conservative`` is Aronow and Samii's, which is too wide
    where exposures of neighbours exclude each other, most of all under cluster randomisation. Both are over the
    randomisation, so a cluster that was not randomised does not enter them. Normal reference.

    Sampling weights weight the regression and the means; a unit with weight zero counts as a neighbour and nowhere
    else, and not as trimmed (`places.with_places`). Rows with missing values have been left out or refused before, and
    are then nobody's neighbours.

    Diagnostics: ``degree`` (mean, max), ``isolated_units``, ``components``, ``edges`` (given, used, outside,
    self_loops, repeats), ``exposure_share``; by design: ``exposure_probability_min`` and ``_mean``,
    ``share_without_support``, ``units_seen`` and ``effective_sample_size`` of each exposure. Curves:
    ``outcome_by_treated_neighbours``, ``degree_histogram``, and ``network_nodes``, ``network_edges`` with their
    effects for at most 60 units. What is of the network and not of an estimand comes with the first estimand that
    stands.

    Raises
    ------
    Refusal
        If no edges were handed over or most lead out of the study, an exposure does not vary or is explained by other
        columns (``not_identified``), or was seen fewer than twice; design-based, if the treatment was not randomised.

    Sources
    -------
    Aronow & Samii 2017; Cai, de Janvry & Sadoulet 2015; Leung 2020, 2022; Borusyak & Hull 2023.
    """
    check_sample(problem)
    problem = with_places(problem)
    graph = graph_of(problem)
    row, diagnostics = _effect(problem, graph, estimand)
    curves: tuple[CurvePoint, ...] = ()
    if estimand == _first(problem, graph):
        diagnostics = (*_network_facts(problem, graph), *diagnostics)
        curves = _curves(problem, graph)
    return Result((row,), diagnostics, curves)


def _method(problem: Problem) -> str:
    own, design = problem.own("method"), problem.study.design
    method = own or ("hajek" if design in RANDOMISED else "regression")
    if method != "regression" and design not in RANDOMISED:
        reason = f"{method} needs a randomised treatment, and the design is {design}"
        raise Refusal(reason, "Declare `method: regression`, or the design that was used")
    return method


def _effect(problem: Problem, graph: Graph, estimand: str) -> tuple[Estimate, tuple[Diagnostic, ...]]:
    """The row and its own diagnostics, estimated once."""
    key = ("network effect", tuple(sorted(problem.options.own.items(), key=str)), estimand)
    if key not in problem.cache:
        by_regression = _method(problem) == "regression"
        problem.cache[key] = (_by_regression if by_regression else _by_design)(problem, graph, estimand)
    return problem.cache[key]


def _by_regression(problem: Problem, graph: Graph, estimand: str) -> tuple[Estimate, tuple[Diagnostic, ...]]:
    found = coefficient(problem, graph, estimand)
    keep = problem.w > 0
    fields = {**counts(problem, keep), "n_trimmed": 0}
    if found.clusters is not None:
        fields["n_clusters"] = found.clusters
    who = "any neighbour" if problem.own("mapping") == "any" else "all neighbours"
    contrast_ = {"DIRECT": "1 - 0", "INDIRECT": f"{who} - none", "TOTAL": f"1, {who} - 0, none"}[estimand]
    row = made(
        estimand,
        found.estimate,
        found.std_error,
        found.df,
        contrast=contrast_,
        variance_estimator=found.variance,
        **fields,
    )
    rows = [Diagnostic("r2", "overall", found.fit.r2)]
    rows += [Diagnostic("collinear_column_dropped", c, 1.0) for c in found.fit.dropped if c not in (EXPECTED, OTHER)]
    if found.variance == "HC1":
        rows.append(Diagnostic("too_narrow_under_spillover", "HC1", 1.0, 0.0, False))
    return row, tuple(rows)


def _by_design(problem: Problem, graph: Graph, estimand: str) -> tuple[Estimate, tuple[Diagnostic, ...]]:
    experiment = experiment_of(problem, graph)
    high = AGAINST_NONE[estimand]
    conservative = problem.own("variance") == "conservative"
    estimate, error = contrast(experiment, high, (0, 0), _method(problem) == "hajek", conservative)
    fields: dict[str, Any] = counts(problem, experiment.kept)
    if experiment.lottery.kind != "cluster":
        fields.pop("n_clusters", None)
    fields |= {"variance_estimator": "aronow_samii" if conservative else "network"}
    fields |= {"n_trimmed": int((~experiment.kept & (problem.w > 0)).sum())}
    row = made(estimand, estimate, error, contrast=f"{label(high)} - (0,0)", **fields)
    return row, ()


def _first(problem: Problem, graph: Graph) -> str | None:
    """The first estimand that is not refused."""
    for estimand in ESTIMANDS:
        try:
            _effect(problem, graph, estimand)
        except Refusal:
            continue
        return estimand
    return None


def _network_facts(problem: Problem, graph: Graph) -> tuple[Diagnostic, ...]:
    counted = problem.w > 0
    degree, sizes = graph.degree[counted], np.bincount(graph.component[counted])
    used = graph.given - graph.outside - graph.loops - graph.repeats
    edges = {"given": graph.given, "used": used, "outside": graph.outside, "self_loops": graph.loops}
    rows = [Diagnostic("edges", name, float(count)) for name, count in (*edges.items(), ("repeats", graph.repeats))]
    rows += [
        Diagnostic("degree", "mean", float(degree.mean())),
        Diagnostic("degree", "max", float(degree.max())),
        Diagnostic("isolated_units", "overall", float((degree == 0).sum())),
        Diagnostic("components", "count", float((sizes > 0).sum())),
        Diagnostic("components", "largest_share", float(sizes.max() / sizes.sum())),
    ]
    some = graph.treated_neighbours(problem.t)[counted] > 0
    own = problem.t[counted]
    rows += [
        Diagnostic("exposure_share", label(d), float(np.mean((own == d[0]) & (some == bool(d[1]))))) for d in LEVELS
    ]
    if _method(problem) == "regression":
        g = exposure(problem, graph)[counted]
        rows.append(Diagnostic("exposure", "mean", float(g.mean())))
        rows.append(Diagnostic("exposure", "sd", float(g.std(ddof=1))))
        return tuple(rows)
    experiment: Experiment = experiment_of(problem, graph)
    return (*rows, *support_diagnostics(problem, experiment))


def _curves(problem: Problem, graph: Graph) -> tuple[CurvePoint, ...]:
    effects: dict[str, float | None] = {}
    for estimand in ("DIRECT", "INDIRECT"):
        try:
            effects[estimand] = _effect(problem, graph, estimand)[0].estimate
        except Refusal:
            effects[estimand] = None
    any_neighbour = _method(problem) != "regression" or problem.own("mapping") == "any"
    piece = graph_points(problem, graph, effects["DIRECT"], effects["INDIRECT"], any_neighbour)
    return (*outcome_by_treated_neighbours(problem, graph), *degree_histogram(graph), *piece)
