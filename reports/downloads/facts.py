"""What a card says, as label and text: the same on paper, slides and in LaTeX."""

from __future__ import annotations

from figures import words
from figures.data import Row, StudyRows

from .. import filters


def facts(rows: StudyRows) -> list[tuple[str, str]]:
    """The card's lines in reading order; what does not apply is left out."""
    card = rows.card
    say = _sentence
    found = [
        ("Next step", say(card.get("next_step")) or "Not told."),
        ("Rule declared beforehand", say(card.get("declared_rule")) or "Not told."),
        (
            "Confidence",
            f"{filters.plain(card.get('confidence'))}. {say(card.get('confidence_reason'))}".strip(". ") + ".",
        ),
        ("Primary estimate", words.run(card.get("estimator"), card.get("estimand"), card.get("specification"))),
        ("Units", units(rows)),
        ("Without treatment", baseline(card)),
        ("Naive estimate", filters.naive(card, rows.estimates)),
        ("Could have been found", detectable(rows)),
        ("Agreement", f"{filters.agreement(card)} {say(card.get('heterogeneity_reading'))}".strip()),
        ("Hidden confounding", say(card.get("sensitivity_reading")) or "No sensitivity analysis applies."),
        ("What would change the decision", say(card.get("flip_reading"))),
        ("Value", say(card.get("value_reading")) or filters.net_benefit(card) or ""),
        ("What failed", failed(card)),
    ]
    return [(label, text) for label, text in found if text]


def further(rows: StudyRows) -> list[tuple[str, str]]:
    """What follows the tables: groups, guardrails, assumptions and caveats."""
    card = rows.card
    found = [
        ("By group", _sentence(card.get("groups_reading"))),
        ("Guardrails", _lines(card.get("guardrails_reading"))),
        ("Secondary outcomes", _lines(card.get("secondary_reading"))),
        ("Assumptions that data can contradict", _lines(card.get("assumptions_testable"))),
        ("Assumptions that no data can contradict", _lines(card.get("assumptions_untestable"))),
        ("Caveats", _lines(card.get("caveats"))),
    ]
    return [(label, text) for label, text in found if text]


def _sentence(text: object) -> str:
    return words.sentence(str(text or "").replace("`", ""))


def _lines(text: object) -> str:
    """A text of lines as sentences, one after the other."""
    return " ".join(words.sentence(line) for line in str(text or "").replace("`", "").splitlines() if line.strip())


def baseline(card: Row) -> str:
    """The mean without treatment, and the effect against it."""
    if card.get("baseline") is None:
        return ""
    told = words.unit(card.get("outcome_unit"), words.number(card["baseline"]))
    reading = card.get("baseline_reading")
    told += f" ({reading})" if reading else ""
    if card.get("relative_effect") is None:
        return f"{told}."
    low, high = card.get("relative_low"), card.get("relative_high")
    ends = (
        ""
        if low is None or high is None
        else f" ({words.percent(low)} to {words.percent(high)})".replace("-", words.MINUS)
    )
    change = words.percent(card["relative_effect"]).replace("-", words.MINUS)
    return f"{told}; the effect is {change} of it{ends}."


def detectable(rows: StudyRows) -> str:
    """The smallest effect that a design as precise finds in 80 of 100 tries."""
    value = rows.card.get("minimum_detectable_effect")
    return f"{words.unit(rows.unit, words.number(value))} or more, in 80 of 100 tries" if value is not None else ""


def units(rows: StudyRows) -> str:
    """How many units, treated, left out, and what they are worth."""
    card = rows.card
    whole = card.get("n_units") if card.get("n_units") is not None else rows.study.get("n_units")
    parts = [words.number(whole, 0)]
    if card.get("n_treated") is not None:
        parts.append(f"{words.number(card['n_treated'], 0)} treated")
    if card.get("n_trimmed"):
        parts.append(f"{words.number(card['n_trimmed'], 0)} left out")
    if card.get("effective_sample_size") is not None:
        parts.append(f"worth {words.number(card['effective_sample_size'], 0)} after weighting")
    return "; ".join(parts)


def failed(card: Row) -> str:
    """Which gates of the primary estimate failed."""
    named = ", ".join(filters.plain(one) for one in filters.listed(card.get("gates_failed")))
    return f"{named}. {filters.gates_line(card)}." if named else f"{filters.gates_line(card)}."


def verdict(row: Row) -> str:
    """What a gate says, in a word or two."""
    if (row.get("reason") or "").startswith("not applicable"):
        return "Not applicable"
    if row.get("is_passing"):
        return "Not rejected" if row.get("gate") == "pre_trends" else "Passed"
    if row.get("severity") == "info":
        return "Information"
    return "Blocks" if row.get("blocks") else "Warning"


def estimates(rows: StudyRows) -> list[Row]:
    """The overall estimates and refusals: the card's estimand and its primary first."""
    wanted = [row for row in rows.estimates
              if row["term"] == "overall" or row["status"] != "estimated" or row["is_primary"]]  # fmt: skip
    asked = rows.card.get("estimand")
    return sorted(wanted, key=lambda row: (
        row["estimand"] != asked, row["estimand"] or "", not row["is_primary"], row["estimate"] is None,
        row["estimator"], row["specification"],
    ))  # fmt: skip


def worst_gates(rows: StudyRows, *, of_primary_first: bool = False) -> list[Row]:
    """One row a gate and estimate, its worst check; the failed first, information last."""
    worst: dict[tuple[str, str | None, str | None], Row] = {}
    for row in rows.gates:
        key = (row["gate"], row.get("estimator"), row.get("estimand"))
        if key not in worst or _badness(row) > _badness(worst[key]):
            worst[key] = row

    def place(row: Row) -> tuple[object, ...]:
        later = of_primary_first and not _concerns(row, rows.card)
        verdict = (row["severity"] == "info", bool(row["is_passing"]), not row["blocks"])
        return later, *verdict, row["gate"], row["estimator"] or "", row["estimand"] or ""

    return sorted(worst.values(), key=place)


def _concerns(row: Row, card: Row) -> bool:
    """Whether a gate speaks of the primary estimate."""
    return all(row[key] in (None, card.get(key)) for key in ("estimator", "estimand"))


def _badness(row: Row) -> tuple[bool, float]:
    return not row["is_passing"], abs(row["value"] or 0.0)
