"""Two LaTeX tables (package booktabs): the estimates and the gates of a study."""

from __future__ import annotations

from figures import words
from figures.data import StudyRows

from .. import filters
from .facts import estimates, verdict, worst_gates

_SPECIAL = {"\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{",
            "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
            ">": r"\textgreater{}", words.MINUS: r"$-$", "–": "--", "²": r"\textsuperscript{2}", "…": r"\dots{}",
            "\n": " ", "\r": " ", "\t": " ",
            # the line break before a cell would take a bracket or a star for its argument
            "[": "{[}", "]": "{]}", "*": "{*}"}  # fmt: skip


def escaped(text: object) -> str:
    """Any text as LaTeX says it."""
    return "".join(_SPECIAL.get(sign, sign) for sign in str(text))


def tables(rows: StudyRows) -> str:
    """Both tables; the preamble needs ``\\usepackage{booktabs}`` and UTF-8."""
    card = rows.card
    unit = f" in {rows.unit}" if rows.unit else ""
    outcome = card.get("outcome") or "the outcome"
    parts = [
        f"% {rows.stem}: written by python -m reports; needs \\usepackage{{booktabs}}",
        _table(
            f"Effects on {outcome}{unit}, with 95 % intervals", f"tab:{rows.stem}-estimates", "llrrr",
            ("Method", "Estimand", "Effect", "95 % interval", "p"), _estimates(rows),
        ),
        _table(
            "Gates: the worst check of each", f"tab:{rows.stem}-gates", "llrrl",
            ("Gate", "For", "Value", "Limit", "Verdict"), _gates(rows),
        ),
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def _estimates(rows: StudyRows) -> list[tuple[str, ...]]:
    lines = []
    for row in estimates(rows):
        name = words.estimator(row["estimator"]) + (" (primary)" if row["is_primary"] else "")
        other = words.specification(row["specification"])
        name = f"{name}, {other}" if other else name
        if row["estimate"] is None:
            lines.append((name, row["estimand"] or "–", filters.plain(row["status"]), "–", "–"))
        else:
            numbers = (filters.row_estimate(row), filters.row_interval(row), filters.p_short(row["p_value"]))
            lines.append((name, row["estimand"] or "–", *numbers))
    return lines


def _gates(rows: StudyRows) -> list[tuple[str, ...]]:
    return [
        (
            filters.plain(row["gate"]),
            words.run(row["estimator"], row["estimand"]) if row["estimator"] or row["estimand"] else "every estimate",
            words.number(row["value"]),
            "–" if row["threshold"] is None else words.declared(row["threshold"]),
            verdict(row),
        )
        for row in worst_gates(rows)
    ]


def _table(caption: str, label: str, columns: str, head: tuple[str, ...], lines: list[tuple[str, ...]]) -> str:
    body = [" & ".join(escaped(cell) for cell in line) + r" \\" for line in lines]
    return "\n".join([
        r"\begin{table}", r"\centering", rf"\caption{{{escaped(caption)}}}", rf"\label{{{label}}}",
        rf"\begin{{tabular}}{{{columns}}}", r"\toprule", " & ".join(escaped(name) for name in head) + r" \\",
        r"\midrule", *body, r"\bottomrule", r"\end{tabular}", r"\end{table}",
    ])  # fmt: skip
