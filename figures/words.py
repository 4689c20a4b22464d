"""Numbers and names in plain words, the same in figures and reports."""

from __future__ import annotations

import math
from collections.abc import Sequence

from estimators.registry import BY_NAME

_LARGEST = 1e15  # whole numbers beyond it are no longer exact, nor read by anybody
MINUS = "\N{MINUS SIGN}"

# Short enough for an axis; everything else takes the catalogue's title.
_SHORT = {
    "difference_in_means": "Difference in means",
    "ols": "Least squares",
    "ipw": "Inverse probability weighting",
    "ope": "Doubly robust (AIPW)",
    "tvce": "Double machine learning",
    "counterfactual": "Three counterfactual systems",
    "psm": "Propensity matching",
    "did": "Difference-in-differences",
    "network": "Interference on a network",
    "sensitivity": "Hidden confounding",
    "iivm": "Interactive instruments",
    "policy_value": "Off-policy values",
    "tvce_panel": "Double ML within units",
}

# For figures, where a name shares its line with a plot.
_ON_AXES = {
    "ipw": "Weighting (IPW)",
    "psm": "Matching",
    "stratification": "Stratification",
    "tvce": "Double ML",
    "ols": "Least squares",
    "counterfactual": "Three systems",
    "iv": "Instruments (IV)",
    "did": "Staggered DiD",
    "synthetic_did": "Synthetic DiD",
    "ipwra": "Weighted regression",
    "iivm": "Instruments (IIVM)",
    "ope": "Doubly robust",
    "network": "Network",
    "transportability": "Transport",
}

# What a naive estimate takes for granted; only the bare difference adjusts for nothing.
_NAIVE = {
    "difference_in_means": "difference in means, which adjusts for nothing",
    "ols": "least squares, as if the treatment were as good as random given the covariates",
    "twfe": "two-way fixed effects, as if the effect were the same for all units at all times",
}

ESTIMANDS = {
    "ATE": "all units",
    "ATT": "the treated",
    "ATO": "where the arms overlap",
    "LATE": "local",
    "policy_value": "a policy",
}


def decimals_for(values: Sequence[float | None], spread: float | None = None) -> int:
    """How many decimals to print: two digits of the spread (three where it begins with 1), or three of the value."""
    sizes = [abs(v) for v in values if v is not None and math.isfinite(v) and v != 0]
    scale = spread if spread and math.isfinite(spread) else (max(sizes) if sizes else 1.0)
    magnitude = math.floor(math.log10(abs(scale)))
    digits = 2 if spread and abs(spread) >= 2 * 10.0**magnitude else 3
    return min(max(digits - 1 - magnitude, 0), 10)


def number(value: float | None, decimals: int | None = None, *, sign: bool = False) -> str:
    """A number with thousands separators and a true minus; three significant digits unless told.

    None is a dash; a size below 0.0001 or from 10^15 takes a power of ten.
    """
    if value is None or not math.isfinite(value):
        return "–"
    if decimals is None and value == 0:
        return "0"
    if (decimals is None and abs(value) < 1e-4) or abs(value) >= _LARGEST:
        return f"{value:.1e}".replace("-", MINUS)
    places = decimals_for([value]) if decimals is None else decimals
    text = f"{abs(value):,.{places}f}"
    if not any(c in "123456789" for c in text):
        return text
    return (MINUS if value < 0 else "+" if sign else "") + text


def declared(value: float) -> str:
    """A number as somebody wrote it down: no digits are added."""
    return f"{value:,.10g}".replace("-", MINUS)


def percent(share: float | None, decimals: int = 0) -> str:
    """A share as a percentage that never rounds to 0 or 100 unless it is."""
    if share is None or not math.isfinite(share):
        return "–"
    rounded = f"{100 * share:.{decimals}f}"
    step = 10**-decimals
    if share > 0 and float(rounded) == 0:
        return f"less than {step:g} %"
    if share < 1 and float(rounded) == 100:
        return f"more than {100 - step:g} %"
    return f"{rounded} %"


def p_value(p: float | None) -> str:
    """A p-value as ``p = 0.017`` or ``p < 0.001``."""
    if p is None or math.isnan(p):
        return "no p-value"
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}" if p < 0.1 else f"p = {p:.2f}"


def unit(text: str | None, amount: str = "") -> str:
    """An amount with its unit."""
    return f"{amount} {text or ''}".strip()


def spread_of(low: float | None, high: float | None) -> float | None:
    """Half the width of an interval, or None."""
    half = (high - low) / 2 if low is not None and high is not None and high > low else None
    return half if half is not None and math.isfinite(half) else None


def effect(value: float | None, low: float | None, high: float | None, outcome_unit: str | None) -> str:
    """An effect with unit and interval, all at the digits that the interval supports."""
    if value is None:
        return "no estimate"
    places = decimals_for([value], spread_of(low, high))
    told = unit(outcome_unit, number(value, places, sign=True))
    if low is None or high is None:
        return told
    return f"{told} ({interval(low, high)})"


def interval(low: float | None, high: float | None) -> str:
    """``low to high`` at two digits of the half-width."""
    if low is None or high is None:
        return "no interval"
    places = decimals_for([low, high], spread_of(low, high))
    return f"{number(low, places)} to {number(high, places)}"


def estimator(name: str | None) -> str:
    """The display name of an estimator."""
    if name is None:
        return "all estimators"
    if name in _SHORT:
        return _SHORT[name]
    return BY_NAME[name].title if name in BY_NAME else name.replace("_", " ").capitalize()


def naive(name: str) -> str:
    """What a naive estimate is, and what it takes for granted."""
    return _NAIVE.get(name, estimator(name))


def on_axes(name: str, estimand: str | None = None, other: str = "default") -> str:
    """A run's name where there is little room."""
    return _joined(_ON_AXES.get(name) or estimator(name), estimand, specification(other))


def specification(name: str | None) -> str:
    """The name of a specification in words; nothing for the default."""
    return "" if name in (None, "default") else str(name).replace("_", " ")


def run(name: str | None, estimand: str | None, other: str | None = "default") -> str:
    """Estimator, estimand and (where it is not the default) the specification."""
    return _joined(estimator(name), estimand, specification(other))


def _joined(name: str, *parts: str | None) -> str:
    """A name with its parts in one pair of brackets."""
    inside = ", ".join(part for part in parts if part)
    if not inside:
        return name
    return f"{name[:-1]}, {inside})" if name.endswith(")") else f"{name} ({inside})"


def shortened(text: str | None, length: int = 90) -> str:
    """The beginning of a text, cut at a word."""
    text = " ".join((text or "no reason was given").split())
    if len(text) <= length:
        return text
    return text[: length - 1].rsplit(" ", 1)[0].rstrip(",.;:") + "…"


def count(n: int, one: str, many: str | None = None) -> str:
    """``1 unit``, ``2 units``."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def sentence(text: str | None) -> str:
    """A text with a capital letter first and one full stop last; nothing of None."""
    text = (text or "").strip()
    return (text[:1].upper() + text[1:]).rstrip(".") + "." if text else text
