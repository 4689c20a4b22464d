"""The card on paper: two pages that Typst sets from templates/card.typ."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import matplotlib
import typst

from figures import words
from figures.data import StudyRows
from figures.names import shown

from .. import filters
from .facts import estimates, facts, further, verdict, worst_gates

TEMPLATE = Path(__file__).resolve().parents[1] / "templates" / "card.typ"
# The figures' own typeface comes with Matplotlib; Typst brings the text's.
FONTS = str(Path(matplotlib.get_data_path()) / "fonts" / "ttf")
PAGES = 2
QUESTION = 400  # letters of a question that leave room for an answer


@dataclasses.dataclass(frozen=True)
class Fit:
    """How much is set: type size in points, estimates, gates, and the length of a text that follows the tables."""

    size: float = 10.5
    estimates: int = 14
    gates: int = 7
    letters: int = 700


# The first that gives two pages is taken; the last loses its picture and a little text.
FITS = (Fit(), Fit(9.5, 12, 6, 600), Fit(8.7, 10, 5, 450), Fit(8.0, 8, 4, 300), Fit(7.2, 6, 3, 160))


def card(rows: StudyRows, forest: tuple[str, str] | None) -> tuple[bytes, list[bytes]]:
    """The PDF, and its pages as PNG at 144 dots an inch: two pages, set smaller where there is much to say."""
    source = TEMPLATE.read_bytes()
    for fit in FITS:
        picture = forest if fit is not FITS[-1] else None
        given = {"card": json.dumps(content(rows, picture, fit), ensure_ascii=False)}
        found = typst.compile(source, format="png", ppi=144.0, font_paths=[FONTS], sys_inputs=given)
        pages = found if isinstance(found, list) else [found]
        if len(pages) <= PAGES:
            break
    return typst.compile(source, format="pdf", font_paths=[FONTS], sys_inputs=given), pages


def content(rows: StudyRows, forest: tuple[str, str] | None, fit: Fit = FITS[0]) -> dict[str, Any]:
    """Everything that the template sets, as plain text."""
    card = rows.card
    bar = filters.strip(card)
    every, gates = estimates(rows), worst_gates(rows, of_primary_first=True)
    return {
        "study": shown(rows.name),
        "design": filters.design(card.get("design")),
        "question": words.shortened(rows.title, QUESTION),
        "population": words.sentence(card.get("population") or ""),
        "code": card.get("decision") or "cannot_answer",
        "decision": filters.decision(card.get("decision") or "cannot_answer"),
        "rule": words.sentence(card.get("rule_fired") or ""),
        "effect": filters.headline(card) if card.get("estimate") is not None else "",
        "interval": _interval(card),
        "strip": dataclasses.asdict(bar) if bar else None,
        "finding": words.sentence(card.get("finding_reading") or ""),
        "facts": [[label, words.shortened(text, fit.letters)] for label, text in facts(rows)],
        "further": [[label, words.shortened(text, fit.letters)] for label, text in further(rows)],
        "size": fit.size,
        "unit": rows.unit,
        "outcome": card.get("outcome") or "the outcome",
        "estimates": [_estimate(row) for row in every[: fit.estimates]],
        "more_estimates": max(0, len(every) - fit.estimates),
        "gates": [_gate(row) for row in gates[: fit.gates]],
        "more_gates": max(0, len(gates) - fit.gates),
        "forest": forest[0] if forest else None,
        "forest_title": forest[1] if forest else "",
        "stamp": filters.stamp(card.get("estimated_at")),
        "hashes": [[name, (card.get(key) or "–")[:16]] for name, key in
                   (("declaration", "spec_hash"), ("code", "code_hash"), ("data", "data_hash"))],
    }  # fmt: skip


def _interval(card: dict[str, Any]) -> str:
    if card.get("estimate") is None:
        reason = words.sentence(words.shortened(card.get("status_reason") or "No reason was given", 420))
        return f"{filters.plain(card.get('status') or 'failed')}. {reason}"
    scope = card.get("scope")
    return filters.interval_line(card) + (f", {scope}" if scope else "")


def _estimate(row: dict[str, Any]) -> dict[str, Any]:
    name = words.run(row["estimator"], row["estimand"], row["specification"])
    if row["estimate"] is None:
        reason = words.shortened(f"{filters.plain(row['status'])}: {row.get('status_reason') or 'no reason'}", 95)
        return {"name": name, "primary": bool(row["is_primary"]), "reason": reason}
    return {
        "name": name, "primary": bool(row["is_primary"]), "effect": filters.row_estimate(row),
        "interval": filters.row_interval(row), "p": filters.p_short(row["p_value"]),
    }  # fmt: skip


def _gate(row: dict[str, Any]) -> dict[str, Any]:
    who = words.run(row["estimator"], row["estimand"]) if row["estimator"] or row["estimand"] else "every estimate"
    return {
        "name": filters.plain(row["gate"]), "who": who, "verdict": verdict(row),
        "reason": words.shortened(words.sentence(row.get("reason") or row.get("subject") or ""), 120),
    }  # fmt: skip
