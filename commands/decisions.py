"""Print the decisions of a warehouse as a table; fails where marts.estimates is empty.

A decision is shown where marts.currency says that it is of the rows that stand; elsewhere the reason why it is not.
"""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb

from .warehouse import Problem, opened, tables

QUERY = """
    select
        cards.study, replace(cards.decision, '_', ' ') as decision, cards.confidence,
        coalesce(cards.estimator || ' ' || cards.estimand, '') as primary_estimate,
        cards.estimate, cards.conf_low, cards.conf_high, coalesce(cards.outcome_unit, '') as unit,
        case
            when coalesce(currency.is_current, false) then null
            when currency.study is null then 'marts.currency does not know this study: build it again'
            else coalesce(currency.reason, 'no reason is given: build it again')
        end as not_current
    from marts.decision_cards as cards
    left join marts.currency as currency on cards.study = currency.study
    union all by name
    select study, coalesce(reason, 'it has no card: build it again') as not_current
    from marts.currency
    where study not in (select study from marts.decision_cards)
    order by study
"""
HEADINGS = ("study", "decision", "confidence", "primary", "effect", "95 % interval", "unit")


def shown(value: float | None) -> str:
    """Four significant digits, thousands whole and with commas, nothing for NULL."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def rows(warehouse: str) -> list[tuple[str, ...]]:
    """The table's cells; two where a study's decision is not current: its name and why.

    Raises
    ------
    Problem
        If the warehouse or its marts cannot be read, if nothing tells which cards are current, or if marts.estimates
        has no row: a build that gives nothing has failed.
    """
    with opened(Path(warehouse)) as connection:
        missing = [name for name in ("estimates", "decision_cards", "currency") if name not in tables(connection)]
        if missing == ["currency"]:
            raise Problem(
                f"no decision of {warehouse} is shown, for it has no marts.currency, which tells whether the cards are "
                "of the data and code that stand: run `make build`"
            )
        if missing:
            raise Problem(f"the marts are not in {warehouse} (no marts.{', marts.'.join(missing)}): run `make build`")
        try:
            counted = connection.execute("select count(*) from marts.estimates").fetchall()
            cards = connection.execute(QUERY).fetchall()
        except (duckdb.CatalogException, duckdb.BinderException) as error:
            first = str(error).splitlines()[0]
            raise Problem(f"the marts of {warehouse} are of another version ({first}): run `make build`") from None
    if counted == [(0,)]:
        raise Problem(
            f"marts.estimates of {warehouse} is empty: is the list `vars: cqox: studies` in dbt_project.yml empty?"
        )
    out: list[tuple[str, ...]] = []
    for study, decision, confidence, primary, estimate, low, high, unit, not_current in cards:
        if not_current is not None:
            out.append((study, f"not current: {not_current}"))
            continue
        interval = "" if low is None else f"[{shown(low)}, {shown(high)}]"
        out.append((study, decision, confidence, primary, shown(estimate), interval, unit))
    return out


def main(warehouse: str) -> int:
    """Print one line a study, columns aligned; the exit code."""
    try:
        cells = [HEADINGS, *rows(warehouse)]
    except Problem as problem:
        print(f"decisions: {problem}", file=sys.stderr)
        return 1
    whole = [row for row in cells if len(row) == len(HEADINGS)]
    widths = [max(len(row[i]) for row in whole) for i in range(len(HEADINGS))]
    widths[0] = max(len(row[0]) for row in cells)
    for row in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "warehouse.duckdb"))
