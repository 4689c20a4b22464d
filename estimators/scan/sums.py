"""The same Moments from any engine that Ibis speaks to: sums that the engine computes, shifted by literals."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import and_
from typing import Any

import numpy as np

from ..contracts import LARGEST
from ..errors import Refusal
from ..moments import Moments
from ..terms import columns_of, is_category
from .columns import shown

FOLDS = {
    "duckdb": "('0x' || substr(md5(cast({key} as varchar) || ':{seed}'), 1, 8))::bigint % {n}",
    "postgres": "(('x' || substr(md5(cast({key} as varchar) || ':{seed}'), 1, 8))::bit(32)::bigint) % {n}",
    "pyspark": "cast(conv(substr(md5(concat(cast({key} as string), ':{seed}')), 1, 8), 16, 10) as bigint) % {n}",
}


def with_folds(table: Any, key: str, n_folds: int, seed: int) -> Any:
    """An Ibis table with the column ``fold`` of `estimators.folds.md5_folds` beside its own.

    Raises
    ------
    KeyError
        For an engine whose md5 has not been tried: compute the fold in a model there and name the column as group.
    """
    engine = table.get_backend().name
    fold = FOLDS[engine].format(key=key, seed=seed, n=n_folds)
    return table.alias("units").sql(f"select *, {fold} as fold from units")


def columns(table: Any, terms: tuple[str, ...]) -> dict[str, Any]:
    """Ibis expressions of the terms' columns, named as `estimators.terms.expand` does; a category costs a query."""
    return {name: value for term in terms for name, value in _term(table, term).items()}


def _term(table: Any, term: str) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for part in (part.strip() for part in term.split(":")):
        own = _part(table, part)
        out = {f"{a}:{b}": x * y for a, x in out.items() for b, y in own.items()} if out else own
    return out


def _part(table: Any, part: str) -> dict[str, Any]:
    import ibis

    (name,) = columns_of(part)
    column = table[name]
    if is_category(part):
        if column.type().is_boolean():
            column = column.cast("int32")
        distinct = table.select(level=column).distinct().to_pyarrow().column("level").to_pylist()
        levels = sorted(level for level in distinct if level is not None)
        return {f"{name}={shown(level)}": (column == level).cast("int32").cast("float64") for level in levels[1:]}
    if column.type().is_boolean():
        column = column.cast("int32")  # Postgres casts a boolean to no other number
    number = column.cast("float64")
    if "^" in part:
        return {part: reduce(lambda a, b: a * b, [number] * int(part.rsplit("^", 1)[1]))}
    if part.startswith("log("):
        # Engines differ at the logarithm of zero; a number beyond all bounds is refused by name later.
        logarithm = (number > 0).ifelse((number > 0).ifelse(number, 1.0).ln(), LARGEST * 1e10)
        return {part: number.notnull().ifelse(logarithm, ibis.null("float64"))}
    return {part: number}


def moments(
    table: Any, values: Mapping[str, Any], weight: Any = None, group: Any = None, n_groups: int = 1
) -> tuple[Moments, int]:
    """Moments a group and the number of rows left out for a NULL or NaN, by a few queries.

    The first looks for numbers that no engine can square, the next takes means and standard deviations, which shift and
    scale the products that the last adds up: sums of raw products lose every digit on a column of mean 1e9. An engine
    adds in an order of its own, so the last digits (about 1e-13) differ from run to run.

    Parameters
    ----------
    table : ibis.Table
    values : mapping of name to Ibis expression
        See `columns`.
    weight : Ibis expression, optional
    group : Ibis expression of 0 … n_groups − 1, optional

    Raises
    ------
    Refusal
        For infinities and numbers beyond 1e150, negative weights, or no complete row.
    """
    import ibis

    names, p = tuple(values), len(values)
    asked = {f"c{j}": value.cast("float64") for j, value in enumerate(values.values())}
    asked["g"] = ibis.literal(0) if group is None else group.cast("int64")
    if weight is not None:
        asked["w"] = weight.cast("float64")
    base = table.select(**asked)
    gaps = [~base[name].isnan() for name in asked if name != "g"] + [base[name].notnull() for name in asked]
    whole = base.filter(reduce(and_, gaps))
    extremes = {f"a{j}": whole[f"c{j}"].abs().max() for j in range(p)}
    if weight is not None:
        extremes["lightest"] = whole["w"].min()
    first = _row(whole.aggregate(n=whole.count(), **extremes))
    _check(first, names)
    means = {f"m{j}": whole[f"c{j}"].mean() for j in range(p)}
    first |= _row(whole.aggregate(**means, **{f"s{j}": whole[f"c{j}"].std(how="pop") for j in range(p)}))
    shift = np.array([first[f"m{j}"] for j in range(p)])
    scale = np.array([first[f"s{j}"] for j in range(p)])
    scale = np.where(scale > 1e-14 * np.abs(shift), scale, 1.0)
    return _products(whole, names, shift, scale, n_groups), int(_row(base.aggregate(n=base.count()))["n"] - first["n"])


def _row(query: Any) -> dict[str, Any]:
    return query.to_pyarrow().to_pylist()[0]


def _check(first: dict[str, Any], names: tuple[str, ...]) -> None:
    if not first["n"]:
        raise Refusal("every row lacks a value in some column", "Fill them, or drop the emptiest columns")
    for j, name in enumerate(names):
        if not first[f"a{j}"] <= LARGEST:
            raise Refusal(
                f"'{name}' is infinite or beyond {LARGEST:g}",
                "Mend the column in staging, or choose another unit of measurement",
            )
    if first.get("lightest", 0.0) < 0:
        raise Refusal("a sampling weight is negative", "Mend the weights in staging")


def _products(whole: Any, names: tuple[str, ...], shift: np.ndarray, scale: np.ndarray, n_groups: int) -> Moments:
    p = len(names)
    kept = ["g", "w"] if "w" in whole.columns else ["g"]
    z = whole.select(*kept, **{f"z{j}": (whole[f"c{j}"] - float(shift[j])) / float(scale[j]) for j in range(p)})
    weighted = [z[f"z{j}"] * z["w"] if "w" in kept else z[f"z{j}"] for j in range(p)]
    sums = {"n": z.count(), "s_0_0": z["w"].sum() if "w" in kept else z.count().cast("float64")}
    for i in range(p):
        sums[f"s_{i + 1}_0"] = weighted[i].sum()
        sums |= {f"s_{i + 1}_{j + 1}": (weighted[i] * z[f"z{j}"]).sum() for j in range(i + 1)}
    cross, rows = np.zeros((n_groups, p + 1, p + 1)), np.zeros(n_groups, dtype=np.int64)
    for row in z.group_by("g").aggregate(**sums).to_pyarrow().to_pylist():
        k = row["g"]
        rows[k] = row["n"]
        for i in range(p + 1):
            for j in range(i + 1):
                cross[k, i, j] = cross[k, j, i] = row[f"s_{i}_{j}"]
    return Moments(names, shift, scale, cross, rows)
