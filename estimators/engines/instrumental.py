"""The sums of `estimators.scan.instrumental`, taken by an engine."""

from __future__ import annotations

import numpy as np

from ..scan.frame import Frame
from ..scan.instrumental import Scan, check_keys
from .numbers import Layer, cluster_squares, form, square, standardised, sums, symmetric
from .source import EngineSource


def summed(scan: Scan) -> tuple[np.ndarray, list[np.ndarray]]:
    """The products of x, z, y and d, and the answers to the questions: one query, and one of sums a cluster."""
    reader, source, size = scan.reader, scan.reader.source, len(scan.gram)
    assert isinstance(source, EngineSource)
    frame = Frame.like(reader.moments, reader.plan.names, 0)
    forms = Layer("f")
    names = [forms.add(form(own)) for own in scan.coefficients]
    query = forms.over(standardised(source, reader.plan, frame))
    asked = symmetric(names[:size])
    for one in scan.sums:
        e = f"{names[one.e]} * {names[one.f]}"
        asked += {"classical": [f"sum({e})"], "robust": symmetric([names[j] for j in one.a], e)}.get(one.kind, [])
    row = sums(source, asked, query)[0]
    start = size * (size + 1) // 2
    gram = square(row[:start], size)
    squared = _clustered(scan, source, query, names)
    for one in scan.sums:
        if one.kind == "classical":
            one.total, start = row[start], start + 1
        elif one.kind == "robust":
            many = len(one.a) * (len(one.a) + 1) // 2
            one.total, start = square(row[start : start + many], len(one.a)), start + many
        else:
            one.total = squared[np.ix_(one.left, one.right)]
    return gram, [one.total for one in scan.sums]


def _clustered(scan: Scan, source: EngineSource, query: str, names: list[str]) -> np.ndarray:
    if not scan.pairs:
        return np.empty((0, 0))
    columns = [f"{names[a]} * {names[e]}" for a, e in scan.pairs]
    found, squared = cluster_squares(source, query, columns, products=True)
    check_keys(found, scan.reader.clusters)
    return squared
