"""Time and memory against rows, on logarithmic axes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.design import Limits
from benchmarks.peers import PEERS
from benchmarks.results import Results, slope
from figures import style

COLOURS = {
    "floor": style.BLACK, "moments": style.SKY, "linear": style.BLUE, "propensity": style.VERMILLION,
    "psm": style.GREEN, "did": style.PURPLE, "study": style.ORANGE,
}  # fmt: skip
PANELS = (
    ("wall", "Seconds of the job", Limits().seconds, "10 min"),
    ("peak_mib", "Peak memory, MiB", Limits().mib, "20 GiB"),
)
TITLE = "Time and memory against rows: ours solid, peers for the same numbers dashed in the same colour"


def draw(results: Results, path: Path) -> None:
    """The picture; the slope of time stands in the legend, and a cross where a peer was stopped at a limit."""
    with style.look():
        figure = style.canvas(6.6, width=11.0)
        axes = figure.subplots(1, 2)
        for ax, (key, label, limit, name) in zip(axes, PANELS, strict=True):
            for job in COLOURS:
                _line(ax, results, job, key, {"color": COLOURS[job], "marker": "o", "linestyle": "-"})
            for k, job in enumerate(PEERS):
                look = {"color": COLOURS[str(PEERS[job].against)], "marker": style.MARKERS[1 + k % 5]}
                _line(ax, results, job, key, {**look, "linestyle": "--", "linewidth": 1.1, "markersize": 5})
            ax.axhline(limit, color=style.FAINT, linestyle=":")
            ax.annotate(
                name, (results.sizes()[0], limit), (0, 3), textcoords="offset points", color=style.MUTED, size=8
            )
            _scales(ax, results)
            ax.set_title(label)
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8.5)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(style.png(style.Drawing(figure, TITLE), "benchmarks"))


def _line(ax: Any, results: Results, job: str, key: str, look: dict[str, Any]) -> None:
    """The sizes that the job finished, and a cross at those where it was stopped."""
    done, stops = results.series(job, key), []
    for rows in results.sizes():
        one = results.get(job, rows)
        if one is not None and one["status"].startswith(">"):
            stops.append((rows, one["process"] if key == "wall" else one["peak_mib"]))
    if done or stops:
        ax.plot(*_axes(done), label=_label(results, job, [rows for rows, _ in stops]), **look)
        ax.plot(*_axes(stops), color=look["color"], marker="x", markersize=8, markeredgewidth=2, linestyle="none")


def _axes(points: list[tuple[int, float]]) -> tuple[list[int], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _label(results: Results, job: str, stops: list[int]) -> str:
    grows = slope(results.series(job, "wall"))
    told = ([] if grows is None else [f"slope {grows:.2f}"]) + [f"stopped at {_short(rows)}" for rows in stops]
    return f"{job} ({', '.join(told)})" if told else job


def _scales(ax: Any, results: Results) -> None:
    ax.set(xscale="log", yscale="log", xlabel="Rows")
    ax.set_xticks(results.sizes(), [_short(rows) for rows in results.sizes()])
    ax.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
    ax.yaxis.set_major_formatter(lambda y, _: f"{y:,.10g}")
    ax.grid(True)


def _short(rows: int) -> str:
    return f"{rows / 1e6:g} M" if rows >= 1_000_000 else f"{rows / 1e3:g} k"
