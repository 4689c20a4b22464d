"""Print the decisions of a warehouse as a table; fails where marts.estimates is empty."""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb

QUERY = """
    select
        study, replace(decision, '_', ' ') as decision, confidence,
        coalesce(estimator || ' ' || estimand, '') as primary_estimate,
        estimate, conf_low, conf_high, coalesce(outcome_unit, '') as unit
    from marts.decision_cards
    order by study
"""
HEADINGS = ("study", "decision", "confidence", "primary", "effect", "95 % interval", "unit")


def shown(value: float | None) -> str:
    """Four significant digits, thousands whole and with commas, nothing for NULL."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def rows(warehouse: str) -> list[tuple[str, ...]]:
    """The table's cells.

    Raises
    ------
    SystemExit
        If the warehouse or its marts are missing or marts.estimates has no row: a build that gives nothing has failed.
    """
    if not Path(warehouse).exists():
        raise SystemExit(f"there is no warehouse at {warehouse}: run `make build`")
    with duckdb.connect(warehouse, read_only=True) as connection:
        try:
            counted = connection.execute("select count(*) from marts.estimates").fetchall()
            cards = connection.execute(QUERY).fetchall()
        except duckdb.CatalogException as missing:
            raise SystemExit(f"the marts are not in {warehouse}: {missing}") from None
    if counted == [(0,)]:
        raise SystemExit("marts.estimates is empty: is the list `vars: cqox: studies` in dbt_project.yml empty?")
    out = []
    for study, decision, confidence, primary, estimate, low, high, unit in cards:
        interval = "" if low is None else f"[{shown(low)}, {shown(high)}]"
        out.append((study, decision, confidence, primary, shown(estimate), interval, unit))
    return out


def main(warehouse: str) -> None:
    """Print one line a study, columns aligned."""
    cells = [HEADINGS, *rows(warehouse)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(HEADINGS))]
    for row in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "warehouse.duckdb")
