"""What the pages' templates may say: numbers, decisions and names in plain words."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from estimators.registry import NAIVE
from figures import names, words
from figures.data import Row
from figures.drawable import LARGEST

DECISIONS = {
    "ship": "Ship",
    "do_not_ship": "Do not ship",
    "extend": "Extend",
    "cannot_answer": "Cannot answer",
}

DESIGNS = {
    "experiment": "Randomised experiment",
    "observational": "Observational study",
    "iv": "Instrumental variables",
    "rd": "Regression discontinuity",
    "panel": "Staggered adoption panel",
    "synthetic_control": "Synthetic control",
    "its": "Interrupted time series",
    "ope": "Off-policy evaluation",
}


def decision(value: str | None) -> str:
    """A decision in words; an unknown one as it is written."""
    return DECISIONS.get(value or "", plain(value))


def design(value: str | None) -> str:
    """A design in words."""
    return DESIGNS.get(value or "", plain(value))


def plain(value: Any) -> str:
    """A code word as words: ``pre_trends`` to ``Pre trends``."""
    text = str(value).replace("_", " ").strip() if value not in (None, "") else "not told"
    return text[:1].upper() + text[1:]


def listed(value: Any) -> list[str]:
    """Names from a list or from a text with commas."""
    if value is None:
        return []
    parts = value.split(",") if isinstance(value, str) else list(value)
    return [str(part).strip() for part in parts if str(part).strip()]


def stamp(value: Any) -> str:
    """A time to the minute."""
    if isinstance(value, datetime.datetime):
        return value.strftime("%-d %B %Y, %H:%M UTC")
    return "–" if value is None else str(value)


def _unit(card: Mapping[str, Any]) -> str:
    return card.get("effect_unit") or card.get("outcome_unit") or ""


def effect(card: Mapping[str, Any]) -> str:
    """The effect of a decision card with unit and interval."""
    return words.effect(card.get("estimate"), card.get("conf_low"), card.get("conf_high"), _unit(card))


def headline(card: Mapping[str, Any]) -> str:
    """The effect of a decision card with its unit, at the digits of its interval."""
    return words.unit(_unit(card), row_estimate(card))


def interval_line(card: Mapping[str, Any]) -> str:
    """The interval of a decision card, or what stands in its place."""
    if card.get("conf_low") is None or card.get("conf_high") is None:
        return f"No interval; {words.p_value(card.get('p_value'))}"
    return f"95 % interval {row_interval(card)}"


def p_short(p: float | None) -> str:
    """A p-value for a column headed p."""
    return "–" if p is None else words.p_value(p).removeprefix("p = ").removeprefix("p ")


def pretty(roles: Any) -> str:
    """JSON with a line a role; other text as it is."""
    try:
        return json.dumps(json.loads(roles) if isinstance(roles, str) else roles, indent=2, ensure_ascii=False)
    except (TypeError, ValueError):
        return str(roles)


def agreement(card: Mapping[str, Any]) -> str:
    """How the other estimates of the same estimand stand to the primary's interval, in one sentence."""
    n, agreeing, refused = (card.get(k) or 0 for k in ("n_estimated", "n_agreeing", "n_refused"))
    missing = f" {words.count(refused, 'estimate was', 'estimates were')} refused." if refused else ""
    if n == 0:
        return f"No estimate of this effect stands.{missing}"
    low, high, middle = (card.get(k) for k in ("range_low", "range_high", "consensus_estimate"))
    if n == 1 or low is None or high is None:
        return f"One method alone can estimate this effect.{missing}"
    places = words.decimals_for([low, high, middle], _interval_size(card))
    told = [words.number(v, places, sign=True) for v in (low, high, middle)]
    spread = f"they run from {told[0]} to {told[1]} {_unit(card)}".rstrip() + f", with the median at {told[2]}"
    if card.get("conf_low") is None:
        return f"Of {n} estimates, {spread}.{missing}"
    return f"{agreeing} of {n} estimates lie in the primary's interval; {spread}.{missing}"


def _interval_size(card: Mapping[str, Any]) -> float | None:
    return words.spread_of(card.get("conf_low"), card.get("conf_high"))


def naive(card: Mapping[str, Any], estimates: Iterable[Row] = ()) -> str:
    """The naive estimate at the digits of the primary's interval; with the study's estimates also which it is."""
    value = card.get("naive_estimate")
    if value is None:
        return "No naive contrast exists for this design."
    places = words.decimals_for([value], _interval_size(card))
    told = words.unit(_unit(card), words.number(value, places, sign=True))
    which = next((row["estimator"] for row in estimates
                  if row["estimator"] in NAIVE and row["estimate"] == value), None)  # fmt: skip
    return told if which is None else f"{told}: {words.naive(which)}"


def net_benefit(card: Mapping[str, Any]) -> str | None:
    """Value less cost with its interval; None where no cost was declared."""
    if card.get("net_benefit") is None:
        return None
    return words.effect(card["net_benefit"], card.get("net_benefit_low"), card.get("net_benefit_high"), "a unit")


@dataclass(frozen=True)
class Strip:
    """Where an interval stands against zero and the decision zone, in per cent of the strip's width."""

    estimate: float
    low: float | None
    high: float | None
    zero: float
    zone_from: float
    zone_to: float


def strip(card: Mapping[str, Any]) -> Strip | None:
    """The strip of one decision card; None without an estimate, or where a number is too large to be drawn."""
    if card.get("estimate") is None:
        return None
    less = card.get("desired_direction") == "less"
    least = card.get("minimum_effect") or 0.0
    edge = -least if less else least
    held = [v for v in (card["estimate"], card.get("conf_low"), card.get("conf_high"), edge, 0.0) if v is not None]
    if not all(math.isfinite(v) and abs(v) <= LARGEST for v in held):
        return None
    width = (max(held) - min(held)) or 1.0
    start, whole = min(held) - 0.12 * width, 1.24 * width

    def at(value: float | None) -> Any:
        return None if value is None else round(100 * (value - start) / whole, 2)

    zone = (0.0, at(edge)) if less else (at(edge), 100.0)
    return Strip(at(card["estimate"]), at(card.get("conf_low")), at(card.get("conf_high")), at(0.0), *zone)


def by_estimand(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Rows grouped by estimand in order of appearance."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row["estimand"], []).append(row)
    return groups


def estimand(value: str | None) -> str:
    """An estimand with what it averages over."""
    told = words.ESTIMANDS.get(value or "")
    return f"{value}, {told}" if told else str(value or "–")


def row_interval(row: Mapping[str, Any]) -> str:
    """The interval of one estimate."""
    return words.interval(row.get("conf_low"), row.get("conf_high"))


def row_estimate(row: Mapping[str, Any]) -> str:
    """One estimate at the digits of its interval."""
    spread = words.spread_of(row.get("conf_low"), row.get("conf_high"))
    return words.number(row.get("estimate"), words.decimals_for([row.get("estimate")], spread), sign=True)


def gates_line(card: Mapping[str, Any]) -> str:
    """How many gate checks of the primary estimate passed."""
    n, failed = card.get("n_gates") or 0, card.get("n_gates_failed") or 0
    if n == 0:
        return "No gate applies"
    if failed:
        return f"{failed} of {words.count(n, 'gate check')} failed"
    return "The one gate check passed" if n == 1 else f"All {n} gate checks passed"


def amount(value: Any) -> str:
    """A number of a table whose column is not known: whole numbers whole, others at three digits."""
    return f"{value:,}".replace("-", words.MINUS) if isinstance(value, int) else words.number(value and float(value))


def told(value: Any) -> str:
    """Anything else of such a table."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (datetime.datetime, datetime.date)):
        return stamp(value)
    return "–" if value is None or value == "" else str(value)


def share(value: float | None) -> str:
    """A share as a percentage with one decimal."""
    return words.percent(value, 1)


GLOBALS = {
    "effect": effect,
    "gates_line": gates_line,
    "headline": headline,
    "interval_line": interval_line,
    "p_short": p_short,
}

FILTERS = {
    "agreement": agreement,
    "amount": amount,
    "by_estimand": by_estimand,
    "decision": decision,
    "declared": words.declared,
    "design": design,
    "estimand": estimand,
    "estimator": words.estimator,
    "listed": listed,
    "naive": naive,
    "net_benefit": net_benefit,
    "number": words.number,
    "p_value": words.p_value,
    "pretty": pretty,
    "plain": plain,
    "row_estimate": row_estimate,
    "row_interval": row_interval,
    "run": words.run,
    "sentence": words.sentence,
    "share": share,
    "shortened": words.shortened,
    "shown": names.shown,
    "specification": words.specification,
    "stamp": stamp,
    "stem": names.stem,
    "strip": strip,
    "told": told,
}
