"""What the gates, judged in SQL, forbid: read here, never judged again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Row = Mapping[str, Any]

# What a policy is worth is asked of all units: it stands or falls with the effect on them.
JUDGED_AS = {"policy_value": "ATE"}


def blocking(gates: Iterable[Row], estimator: str, estimand: str) -> list[Row]:
    """The failed gates that forbid this estimator for this estimand.

    A row holds where its estimator and estimand are NULL or match. Of several rows of one gate and subject the most
    specific decides, so that a policy line can exempt one estimator from a general gate; of equally specific ones, one
    that forbids. A NULL ``is_passing`` fails, and a NULL ``blocks`` blocks.
    """
    decisive: dict[tuple[Any, Any], Row] = {}
    asked = JUDGED_AS.get(estimand, estimand)
    for row in gates:
        if row["estimator"] in (None, estimator) and row["estimand"] in (None, asked):
            key = (row["gate"], row["subject"])
            if key not in decisive or _rank(row) > _rank(decisive[key]):
                decisive[key] = row
    return sorted((row for row in decisive.values() if _forbids(row)), key=_place)


def _place(row: Row) -> tuple[bool, str, float, str]:
    """Gates that hold for all estimators first, then the furthest off; the order of the table's rows is no order."""
    size = float("inf") if row.get("value") is None else abs(row["value"])
    return row["estimator"] is not None, row["gate"], -size, str(row["subject"])


def _rank(row: Row) -> tuple[int, bool]:
    return 2 * (row["estimator"] is not None) + (row["estimand"] is not None), _forbids(row)


def _forbids(row: Row) -> bool:
    return (row["blocks"] is None or bool(row["blocks"])) and not row["is_passing"]


def reason(failed: list[Row]) -> str:
    """The reasons of the failed gates in one text, the first three spelled out."""
    # One cause fails several gates, and is told once.
    named: dict[str, list[str]] = {}
    for row in failed:
        named.setdefault(str(row["reason"]), []).append(str(row["gate"]))
    texts = [f"{_gates(gates)}: {why}" for why, gates in named.items()]
    more = f" (and {len(texts) - 3} more)" if len(texts) > 3 else ""
    mend = next((str(row["remedy"]) for row in failed if row.get("remedy")), "")
    return "; ".join(texts[:3]) + more + (f". {mend}" if mend else "")


def _gates(names: list[str]) -> str:
    unlike = list(dict.fromkeys(names))
    return f"{unlike[0]} gate" if len(unlike) == 1 else f"{', '.join(unlike[:-1])} and {unlike[-1]} gates"
