"""Write the results into docs/benchmarks.md and draw docs/images/benchmarks.png: ``python -m benchmarks.report``.

Reads every file of benchmarks/results; the newest record of a job and size counts, of the machine that ran last.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.jobs import JOBS
from benchmarks.machine import described
from benchmarks.peers import PEERS
from benchmarks.results import FOLDER, Results, agreements, finished, read, slope, spread
from benchmarks.table import TITLES, cells, markdown
from benchmarks.targets import ROWS, SCALED, targets

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
PICTURE = "images/benchmarks.png"
BEGIN, END = "<!-- results: python -m benchmarks.report writes what stands between these lines -->", "<!-- end -->"


def main(arguments: Sequence[str] | None = None) -> None:
    """The page and the picture."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("files", type=Path, nargs="*", help="of results; default: all of benchmarks/results")
    parser.add_argument("--page", type=Path, default=PAGE)
    asked = parser.parse_args(arguments)
    results = read(asked.files or sorted(FOLDER.glob("*.jsonl"))).of_last_machine()
    if not results.records:
        parser.error("there are no results: run benchmarks.run first")
    from benchmarks.plot import draw

    draw(results, asked.page.parent / PICTURE)
    asked.page.write_text(filled(asked.page.read_text(), page(results)))
    print(f"wrote {asked.page} and {asked.page.parent / PICTURE}")


def filled(text: str, results: str) -> str:
    """The page with new results between its two marks."""
    before, _, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"the page lacks the lines '{BEGIN}' and '{END}'")
    return f"{before}{BEGIN}\n\n{results}\n\n{END}{after}"


def page(results: Results) -> str:
    """All that is measured, as Markdown."""
    days = sorted({one["at"][:10] for one in results.records})
    ran = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    parts = [f"Measured {ran} on {described(results.records[-1]['machine'])}"]
    parts += [f"![Time and memory against rows]({PICTURE})"]
    if ROWS in results.sizes():
        parts += [f"### Targets\n\nAt {ROWS:,} rows; slopes and memory over all sizes.\n\n{_targets(results)}"]
    for rows in results.sizes():
        parts += [f"### {rows:,} rows", _costs(results, rows, list(JOBS)), _costs(results, rows, list(PEERS))]
    parts += [f"### Growth\n\n{_growth(results)}"] if len(results.sizes()) > 1 else []
    parts += [_agreement(results), _study(results)]
    return "\n\n".join(part for part in parts if part)


def _targets(results: Results) -> str:
    told = {True: "met", False: "missed", None: "open"}
    rows = [[one.what, one.wanted, one.measured, told[one.met]] for one in targets(results)]
    return markdown(("target", "wanted", "measured", ""), rows)


def _costs(results: Results, rows: int, jobs: list[str]) -> str:
    """The table of one size; columns that are for peers only are left out of ours."""
    known = {**JOBS, **PEERS}
    found = [(job, results.get(job, rows)) for job in jobs]
    lines = [_named(cells(one, known[job], results), one) for job, one in found if one is not None]
    width = len(TITLES) if any(line[-1] or line[-2] for line in lines) else len(TITLES) - 2
    return markdown(TITLES[:width], [line[:width] for line in lines]) if lines else ""


def _named(line: list[str], record: dict[str, object]) -> list[str]:
    version = f" ({record['version']})" if "version" in record else ""
    return [line[0] + version, *line[1:]]


def _growth(results: Results) -> str:
    sizes, rows = results.sizes(), []
    for job in ("floor", *SCALED, *PEERS):
        grows, memory = slope(results.series(job, "wall")), dict(results.series(job, "peak_mib"))
        if grows is not None:
            varies = spread(list(memory.items()))
            mib = [f"{memory[size]:.0f}" if size in memory else "" for size in sizes]
            rows.append([job, f"{grows:.2f}", *mib, f"± {varies:.0%}"])
    return markdown(("job", "slope of seconds", *(f"MiB at {size:,}" for size in sizes), "spread"), rows)


def _agreement(results: Results) -> str:
    """Numbers of ours and of peers side by side, at the largest size that the peer finished."""
    rows = []
    for name, job in PEERS.items():
        for size in reversed(results.sizes()):
            found = agreements(job, results.get(name, size), results.get(str(job.against), size))
            if found:
                rows += [
                    [f"{name}: {one.name}", f"{size:,}", f"{one.ours:.9g}", f"{one.peers:.9g}", f"{one.difference:.0e}",
                     f"{one.allowed:.0e}", "yes" if one.holds else "NO"]
                    for one in found
                ]  # fmt: skip
                break
    titles = ("number", "rows", "ours", "peer's", "relative difference", "allowed", "agrees")
    return f"### Do the numbers agree?\n\n{markdown(titles, rows)}" if rows else ""


def _study(results: Results) -> str:
    """What each estimator of the whole study took, at the largest size."""
    for size in reversed(results.sizes()):
        one = results.get("study", size)
        if one is not None and finished(one):
            numbers = one["numbers"]
            rows = [[name.removesuffix("_s"), f"{x:.1f}"] for name, x in numbers.items() if name.endswith("_s")]
            counted = ", ".join(f"{numbers[f'rows_{s}']:.0f} {s}" for s in ("estimated", "refused", "failed"))
            words = f"Seconds of each run; the first that needs a scan pays for it. Rows: {counted}."
            return f"### The study at {size:,} rows\n\n{words}\n\n{markdown(('run', 'seconds'), rows)}"
    return ""


if __name__ == "__main__":
    main()
