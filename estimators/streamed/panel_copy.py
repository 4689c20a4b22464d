"""A panel's rows sorted once into a scratch database, for estimators that pass over them often."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from ..scan import queries
from ..scan.stream import Column, Source
from .panel_rows import PanelRows


@contextmanager
def sorted_copy(rows: PanelRows) -> Iterator[PanelRows]:
    """The same rows in a scratch table in their order, dropped at the end.

    It holds 8 bytes a number of `PanelRows.plan`, spilled by DuckDB beyond its memory limit. Where DuckDB is told not
    to keep the order of a table's rows, nothing is copied and every pass sorts anew.
    """
    connection = rows.source.connection
    if not queries.one(connection, "select current_setting('preserve_insertion_order')")[0]:
        yield rows
        return
    name = f"panel_{uuid.uuid4().hex}"
    queries.run(connection, f"attach ':memory:' as {name}")
    try:
        select = rows.source.sql(rows.plan.select())
        queries.run(connection, f"create table {name}.rows as {select} order by {rows.order}")
        columns = tuple(Column(column.name, f"c{j}") for j, column in enumerate(rows.plan.columns))
        plan = dataclasses.replace(rows.plan, columns=columns, cluster="k")
        source = Source(connection, f"{name}.rows")
        yield dataclasses.replace(rows, source=source, plan=plan, order="")
    finally:
        queries.run(connection, f"detach {name}")
