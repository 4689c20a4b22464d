"""Four slides in PowerPoint: the decision, its grounds, every estimate, and what the data allow."""

from __future__ import annotations

import datetime
import io
import math
import zipfile
from typing import Any

from pptx import Presentation
from pptx.dml.color import RGBColor
from pptx.enum.shapes import MSO_SHAPE
from pptx.enum.text import MSO_AUTO_SIZE
from pptx.util import Emu, Inches, Pt

from figures import words
from figures.data import StudyRows

from .. import filters
from .facts import estimates, facts, further, verdict, worst_gates

INK, MUTED, PAPER = RGBColor(0x1C, 0x23, 0x2E), RGBColor(0x5A, 0x64, 0x72), RGBColor(0xF3, 0xF1, 0xEC)
COLOURS = {"ship": "00634A", "do_not_ship": "9A3412", "extend": "6F5200", "cannot_answer": "454F5C"}
LEFT, WIDE = Inches(0.7), Inches(11.9)
LINES = 10
_LONGEST = 255
# What a title and a table's cell hold before they run over what stands below.
TITLE, CELL = 180, 110
WHEN = datetime.datetime(2000, 1, 1)


def deck(rows: StudyRows) -> bytes:
    """The PPTX, the same bytes for the same rows."""
    shown = Presentation()
    shown.slide_width, shown.slide_height = Inches(13.333), Inches(7.5)
    _properties(shown, rows)
    _decision(shown, rows)
    _grounds(shown, rows)
    _estimates(shown, rows)
    _gates(shown, rows)
    held = io.BytesIO()
    shown.save(held)
    return _same(held.getvalue())


def _properties(shown: Any, rows: StudyRows) -> None:
    core = shown.core_properties
    core.title, core.author, core.last_modified_by = _property(rows.title), "CQOx", "CQOx"
    core.created = core.modified = WHEN


def _property(text: str) -> str:
    """A text that a core property takes: at most 255 letters, which all of these formats share with their viewers."""
    return words.shortened(text, _LONGEST)


def _slide(shown: Any, title: str, size: int = 28) -> Any:
    slide = shown.slides.add_slide(shown.slide_layouts[5])
    holder = slide.shapes.title
    holder.left, holder.top, holder.width, holder.height = LEFT, Inches(0.45), WIDE, Inches(1.1)
    _say(holder.text_frame, title, size, bold=True)
    return slide


def _say(frame: Any, text: str, size: float, *, bold: bool = False, colour: RGBColor = INK, more: bool = False) -> None:
    """A paragraph; ``more`` adds one to those that are there."""
    frame.word_wrap = True
    frame.auto_size = MSO_AUTO_SIZE.TEXT_TO_FIT_SHAPE
    paragraph = frame.add_paragraph() if more else frame.paragraphs[0]
    paragraph.alignment = 1
    run = paragraph.add_run()
    run.text = text
    run.font.size, run.font.bold, run.font.color.rgb = Pt(size), bold, colour


def _box(slide: Any, top: float, height: float, text: str, size: float, **look: Any) -> Any:
    frame = slide.shapes.add_textbox(LEFT, Inches(top), WIDE, Inches(height)).text_frame
    _say(frame, text, size, **look)
    return frame


def _decision(shown: Any, rows: StudyRows) -> None:
    card = rows.card
    slide = _slide(shown, words.shortened(rows.title, TITLE), 32)
    code = card.get("decision") or "cannot_answer"
    colour = RGBColor.from_string(COLOURS.get(code, COLOURS["cannot_answer"]))
    whom = words.shortened(card["population"], CELL) if card.get("population") else ""
    _box(slide, 1.6, 0.4, f"{filters.design(card.get('design'))} · {whom}", 14, colour=MUTED)
    badge = slide.shapes.add_shape(MSO_SHAPE.ROUNDED_RECTANGLE, LEFT, Inches(2.2), Inches(3.4), Inches(0.75))
    badge.fill.solid()
    badge.fill.fore_color.rgb = colour
    badge.line.fill.background()
    _say(badge.text_frame, filters.decision(code), 22, bold=True, colour=RGBColor(255, 255, 255))
    _box(slide, 3.1, 0.5, words.sentence(card.get("rule_fired") or ""), 16)
    if card.get("estimate") is None:
        reason = words.shortened(card.get("status_reason") or "no reason was given", 300)
        _box(slide, 3.9, 1.2, f"{filters.plain(card.get('status') or 'failed')}: {reason}", 18)
    else:
        _box(slide, 3.75, 0.8, filters.headline(card), 36, bold=True)
        scope = f", {card['scope']}" if card.get("scope") else ""
        _box(slide, 4.6, 0.4, filters.interval_line(card) + scope, 16, colour=MUTED)
        _strip(slide, card)
    _box(slide, 6.3, 0.6, f"Next step: {words.sentence(card.get('next_step') or 'not told')}", 18)


def _strip(slide: Any, card: dict[str, Any]) -> None:
    """The interval against the declared rule, of shapes that can be changed."""
    bar = filters.strip(card)
    if bar is None:
        return
    top, height = Inches(5.3), Inches(0.5)

    def part(
        start: float, width: float, down: Emu, tall: Emu, colour: RGBColor, kind: Any = MSO_SHAPE.RECTANGLE
    ) -> None:
        shape = slide.shapes.add_shape(kind, LEFT + int(WIDE * start / 100), down, int(WIDE * width / 100), tall)
        shape.fill.solid()
        shape.fill.fore_color.rgb = colour
        shape.line.fill.background()

    middle = Emu(top + height // 2)
    part(0, 100, top, height, PAPER)
    part(bar.zone_from, bar.zone_to - bar.zone_from, top, height, RGBColor(0xCF, 0xE8, 0xDC))
    part(bar.zero, 0.12, top, height, MUTED)
    if bar.low is not None and bar.high is not None:
        part(bar.low, bar.high - bar.low, Emu(middle - Inches(0.03)), Inches(0.06), INK)
    size = Inches(0.2)
    part(bar.estimate - 50 * size / WIDE, 100 * size / WIDE, Emu(middle - size // 2), size, INK, MSO_SHAPE.OVAL)
    _box(slide, 5.82, 0.3, "Shaded: where the rule says ship. Upright line: no effect.", 11, colour=MUTED)


def _fitting(lines: list[str], width: float, height: float) -> int:
    """The largest type in points at which paragraphs fit a box (inches); viewers shrink text only when it is edited."""
    for size in (16, 15, 14, 13, 12, 11):
        letters = int(72 * (width - 0.2) / (0.5 * size))
        needed = sum(math.ceil(len(line) / letters) * 1.2 * size + 7 for line in lines)
        if needed <= 72 * height:
            return size
    return 10


def _grounds(shown: Any, rows: StudyRows) -> None:
    slide = _slide(shown, "On what it rests")
    told = [one for one in facts(rows) if one[0] != "Next step"]
    told += [one for one in further(rows) if one[0] in ("Guardrails", "Secondary outcomes")]
    lines = [f"{label}: {words.shortened(text, 420)}" for label, text in told]
    size = _fitting(lines, WIDE.inches, 5.3)
    frame = None
    for line in lines:
        if frame is None:
            frame = _box(slide, 1.7, 5.3, line, size)
        else:
            _say(frame, line, size, more=True)
    for paragraph in frame.paragraphs if frame is not None else ():
        paragraph.space_after = Pt(7)


def _estimates(shown: Any, rows: StudyRows) -> None:
    every = estimates(rows)
    slide = _slide(shown, f"Every estimate{f', in {words.shortened(rows.unit, 60)}' if rows.unit else ''}")
    lines = []
    for row in every[:LINES]:
        name = words.run(row["estimator"], row["estimand"], row["specification"])
        name += " (primary)" if row["is_primary"] else ""
        if row["estimate"] is None:
            lines.append((name, filters.plain(row["status"]), words.shortened(row.get("status_reason"), 70), ""))
        else:
            lines.append((
                name, filters.row_estimate(row), filters.row_interval(row), filters.p_short(row["p_value"])
            ))  # fmt: skip
    _table(slide, ("Method", "Effect", "95 % interval", "p"), lines, (5.0, 2.2, 3.7, 1.0), len(every))


def _gates(shown: Any, rows: StudyRows) -> None:
    every = worst_gates(rows)
    slide = _slide(shown, "What the data allow")
    lines = [
        (filters.plain(row["gate"]), verdict(row), words.shortened(row.get("reason") or row.get("subject"), 110))
        for row in every[:LINES]
    ]
    _table(slide, ("Gate", "Verdict", "Reason"), lines, (2.6, 1.7, 7.6), len(every))


def _table(
    slide: Any, head: tuple[str, ...], lines: list[tuple[str, ...]], widths: tuple[float, ...], whole: int
) -> None:
    grid = slide.shapes.add_table(len(lines) + 1, len(head), LEFT, Inches(1.6), WIDE, Inches(0.42 * (len(lines) + 1)))
    table = grid.table
    for place, width in enumerate(widths):
        table.columns[place].width = Inches(width)
    for y, line in enumerate([head, *lines]):
        for x, text in enumerate(line):
            cell = table.cell(y, x)
            cell.fill.solid()
            cell.fill.fore_color.rgb = PAPER if y == 0 else RGBColor(255, 255, 255)
            _say(cell.text_frame, words.shortened(text, CELL) if text else "", 12, bold=y == 0)
    if whole > len(lines):
        _box(slide, 6.9, 0.3, f"and {whole - len(lines)} more in the report", 11, colour=MUTED)


def _same(content: bytes) -> bytes:
    """The archive with one date for all members."""
    held = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as new:
        for item in old.infolist():
            new.writestr(zipfile.ZipInfo(item.filename, (2000, 1, 1, 0, 0, 0)), old.read(item), zipfile.ZIP_DEFLATED)
    return held.getvalue()
