"""One look for all figures: palette (Okabe & Ito 2008, told apart by colour-blind readers), type and saving."""

from __future__ import annotations

import io
import textwrap
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILLION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
INK, MUTED, FAINT, RULE = "#1F2933", "#616E7C", "#B8C0CA", "#E4E7EB"
ZONE = "#DDF1EA"

TREATED, CONTROL = VERMILLION, BLUE
SERIES = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
MARKERS = ("o", "s", "^", "D", "v", "P")

WIDTH = 6.2
_TITLE_SIZE, _TITLE_LINE = 12.5, 0.23

_RC: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10.5,
    "axes.labelsize": 10.5,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "grid.color": RULE,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "lines.linewidth": 1.8,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    # Text stays text: it can be searched and read aloud, and takes the page's own typeface.
    "svg.fonttype": "none",
}


@dataclass(frozen=True)
class Drawing:
    """A figure that could be drawn.

    Attributes
    ----------
    figure : matplotlib.figure.Figure
        Without its title, which is text of the page or put on when saved.
    title : str
        The finding, with its unit.
    caption : str
        What the reader should do with it; may be empty.
    """

    figure: Figure
    title: str
    caption: str = ""


@dataclass(frozen=True)
class NotDrawn:
    """A figure that a study has no rows for, and why in one line."""

    reason: str


def look(salt: str = "cqox") -> AbstractContextManager[None]:
    """The settings under which figures are drawn and saved; ``salt`` makes the ids of an SVG the same each time."""
    settings: Any = {**_RC, "svg.hashsalt": salt}
    return matplotlib.rc_context(settings)


def canvas(height: float, width: float = WIDTH) -> Figure:
    """An empty figure; sizes in inches."""
    figure = Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.06))
    FigureCanvasAgg(figure)
    return figure


def svg(drawing: Drawing, salt: str, *, titled: bool = True) -> str:
    """The figure as SVG text, the same bytes for the same rows."""
    return _saved(drawing, salt, titled, _as_svg).decode()


def png(drawing: Drawing, salt: str, *, titled: bool = True) -> bytes:
    """The figure as PNG at 150 dots an inch."""
    return _saved(drawing, salt, titled, _as_png)


def _as_png(figure: Figure, buffer: io.BytesIO) -> None:
    figure.savefig(buffer, format="png", dpi=150, metadata={"Software": None})


def _as_svg(figure: Figure, buffer: io.BytesIO) -> None:
    """Lay out and draw once; ``savefig`` draws a figure with a layout engine twice, which takes half as long again."""
    before, dpi = figure.canvas, figure.dpi
    try:
        FigureCanvasSVG(figure).print_svg(buffer, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    finally:
        figure.set_canvas(before)
        figure.set_dpi(dpi)


def _saved(drawing: Drawing, salt: str, titled: bool, write: Callable[[Figure, io.BytesIO], None]) -> bytes:
    figure, buffer = drawing.figure, io.BytesIO()
    width, height = figure.get_size_inches()
    with look(salt):
        lines = textwrap.wrap(drawing.title, int(width * 9.2))
        title = figure.suptitle("\n".join(lines), x=0.012, ha="left", size=_TITLE_SIZE, weight="bold", linespacing=1.3)
        title.set_visible(titled)
        title.set_in_layout(titled)
        if titled:
            figure.set_size_inches(width, height + _TITLE_LINE * len(lines))
        with warnings.catch_warnings():
            # The text stays text in an SVG, and the reader's own typefaces know more alphabets than Matplotlib's.
            warnings.filterwarnings("ignore", message=r"Glyph \d+ .* missing from font")
            write(figure, buffer)
        figure.set_size_inches(width, height)
    return buffer.getvalue()
