"""The rows of an engine, for everything that asks a `scan.stream.Source` by SQL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..scan.stream import Source
from .engine import Engine


@dataclass(frozen=True)
class EngineSource(Source):
    """Rows that no stream reads: ``connection`` is an `Engine`, and `stream.blocks` of them refuses.

    Queries are in DuckDB's SQL, as everywhere; the engine translates them.
    """

    connection: Engine

    @classmethod
    def on(cls, engine: Engine) -> EngineSource:
        """All rows of an engine's relation."""
        return cls(engine, engine.relation)

    @property
    def engine(self) -> str | None:
        """The engine's name in a sentence."""
        return self.connection.title

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        return self.connection.rows(sql)

    def translated(self, sql: str) -> str:
        """A query of DuckDB as the engine writes it."""
        return self.connection.translated(sql)

    def run(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a query in the engine's own SQL."""
        return self.connection.run(sql)

    def frame(self, sql: str) -> Any:
        """A query in the engine's own SQL as the engine's table: a Spark DataFrame, or an Ibis table."""
        return self.connection.frame(sql)

    def one(self, select: str) -> tuple[Any, ...]:
        """The single row of an aggregate."""
        return self.rows(self.sql(select))[0]

    def types(self) -> dict[str, str]:
        """DuckDB's name of each column's type."""
        return dict(self.connection.types)
