"""Does a 95 % interval cover in 95 % of samples? ``make calibrate`` draws, estimates, counts and writes what it found.

Every estimator runs on every process of its file in benchmarks/calibration; draw d of a process has the seed (SEED,
process, d), whatever runs beside it. Written to seeds/calibration.csv, which the report shows, and docs/calibration.md.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import importlib
import math
import os
import pkgutil
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import benchmarks.calibration as processes

ROOT = Path(__file__).resolve().parents[1]
SEED, DRAWS, COSTLY_DRAWS, SIZE, SMALL = 20260101, 500, 200, 1_000, 200
# Times as many draws where the first are off.
MORE = 4
# These are shown and not judged: no method promises its nominal coverage there.
REPORTED = ("weak_overlap", "small_n")
TABLE, PAGE = ROOT / "seeds" / "calibration.csv", ROOT / "docs" / "calibration.md"

Dgp = Callable[[np.random.Generator, int], tuple[Any, dict[str, Any], Any, Mapping[tuple[str, ...], float]]]


@dataclass(frozen=True)
class Cell:
    """One estimator on one process."""

    module: str
    estimator: str
    process: str
    n: int
    draws: int
    holds: bool


@dataclass(frozen=True)
class Found:
    """What the draws of one cell gave for one estimand and term; a refused draw counts in ``draws`` only."""

    estimator: str
    estimand: str
    term: str
    process: str
    n: int
    draws: int
    estimated: int
    truth: float
    bias: float
    rmse: float
    mean_std_error: float
    coverage: float
    coverage_error: float
    rejection: float
    is_judged: bool
    is_covered: bool | None
    seconds: float


def cells(only: list[str], draws: int | None = None) -> Iterator[Cell]:
    """All pairs of estimator and process, of some estimators where they are named."""
    for module in sorted(m.name for m in pkgutil.iter_modules(processes.__path__)):
        own = importlib.import_module(f"{processes.__name__}.{module}")
        for estimator in own.ESTIMATORS:
            if only and estimator not in only:
                continue
            for process in own.DGPS:
                n = getattr(own, "SIZES", {}).get(process, SMALL if process == "small_n" else SIZE)
                usual = COSTLY_DRAWS if estimator in getattr(own, "COSTLY", ()) else DRAWS
                holds = process in own.HOLDS.get(estimator, ()) and process not in REPORTED
                yield Cell(module, estimator, process, n, draws or usual, holds)


def run(cell: Cell) -> list[Found]:
    """All draws of one cell, in one process; four times as many where its coverage is judged and off.

    Among hundreds of judged rows some lie outside three Monte Carlo errors by chance. More draws (the next ones, so
    that no seed is chosen) tell chance from a fault: all of them are judged together.
    """
    began = time.perf_counter()
    dgp: Dgp = importlib.import_module(f"{processes.__name__}.{cell.module}").DGPS[cell.process]
    key = zlib.crc32(f"{cell.module}:{cell.process}".encode())
    drawn: list[dict[tuple[str, str], Row | None]] = []
    found: list[Found] = []
    for wanted in (cell.draws, MORE * cell.draws):
        drawn += [_draw(cell, dgp, np.random.default_rng((SEED, key, d))) for d in range(len(drawn), wanted)]
        seconds = (time.perf_counter() - began) / wanted
        names = list(dict.fromkeys(name for draw in drawn for name in draw))
        found = [_summary(cell, name, [draw.get(name) for draw in drawn], seconds) for name in names]
        if not any(one.is_judged and not one.is_covered for one in found):
            break
    return found


Row = tuple[float, float, float | None, float | None, float | None, float | None]


def _draw(cell: Cell, dgp: Dgp, rng: np.random.Generator) -> dict[tuple[str, str], Row | None]:
    """Truth, estimate, standard error, interval and p of each (estimand, term) that has a truth; None where refused."""
    units, block, edges, truths = dgp(rng, cell.n)
    out: dict[tuple[str, str], Row | None] = {}
    wanted = _wanted(cell.estimator, truths)
    for estimand in dict.fromkeys(estimand for estimand, _ in wanted):
        found = {one.term: one for one in _estimates(cell.estimator, estimand, units, block, edges)}
        for name in (name for name in wanted if name[0] == estimand):
            one = found.get(name[1])
            out[name] = None
            if one is not None and one.status == "estimated" and one.estimate is not None:
                out[name] = (wanted[name], one.estimate, one.std_error, one.conf_low, one.conf_high, one.p_value)
    return out


def _wanted(estimator: str, truths: Mapping[tuple[str, ...], float]) -> dict[tuple[str, str], float]:
    """The truths of an estimator: its own, or those that all of its kind share."""
    from estimators.registry import BY_NAME

    own = {(name[1], name[2]): value for name, value in truths.items() if len(name) == 3 and name[0] == estimator}
    estimands = BY_NAME[estimator].estimands
    return own or {(n[0], n[1]): value for n, value in truths.items() if len(n) == 2 and n[0] in estimands}


def _estimates(estimator: str, estimand: str, units: Any, block: dict[str, Any], edges: Any) -> tuple[Any, ...]:
    from estimators.assemble import assemble
    from estimators.errors import Refusal, StudyError
    from estimators.registry import BY_NAME
    from estimators.study import Study

    entry = BY_NAME[estimator]
    if estimand not in entry.estimands and len(entry.estimands) != 1:
        return ()
    # An estimator with several estimands in one run (ACME, ADE) has one entry in the registry.
    asked = estimand if estimand in entry.estimands else entry.estimands[0]
    try:
        problem, _ = assemble(Study.declare("calibration", {"row_budget": 10**9, **block}), units, edges=edges)
        result = entry.load()(problem.for_run(estimator, "default"), asked)
    except (Refusal, StudyError):
        return ()
    return tuple(one for one in result.estimates if one.estimand == estimand)


def _summary(cell: Cell, name: tuple[str, str], rows: list[Row | None], seconds: float) -> Found:
    made = [row for row in rows if row is not None]
    nan = float("nan")
    if not made:
        return Found(
            cell.estimator, *name, cell.process, cell.n, len(rows), 0, nan, nan, nan, nan, nan, nan, nan, cell.holds,
            False if cell.holds else None, seconds,
        )  # fmt: skip
    truth, estimate = np.array([row[0] for row in made]), np.array([row[1] for row in made])
    with_error = [row for row in made if row[3] is not None and row[4] is not None]
    covered = np.array([low <= t <= high for t, _, _, low, high, _ in with_error])
    coverage = float(covered.mean()) if len(covered) else nan
    error = math.sqrt(0.95 * 0.05 / len(covered)) if len(covered) else nan
    errors = [row[2] for row in made if row[2] is not None]
    ps = [row[5] for row in made if row[5] is not None]
    good = abs(coverage - 0.95) <= 3 * error if len(covered) else False
    return Found(
        cell.estimator, *name, cell.process, cell.n, len(rows), len(made), float(truth.mean()),
        float((estimate - truth).mean()), float(np.sqrt(((estimate - truth) ** 2).mean())),
        float(np.mean(errors)) if errors else nan, coverage, error,
        float(np.mean([p < 0.05 for p in ps])) if ps else nan, cell.holds, good if cell.holds else None, seconds,
    )  # fmt: skip


def main() -> None:
    """Run, write and tell what does not cover."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--estimators", nargs="*", default=[], help="only these; the others' rows stay as they were")
    parser.add_argument("--draws", type=int, help="fewer, for a look; the files are then left alone")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    asked = parser.parse_args()
    planned, found = list(cells(asked.estimators, asked.draws)), []
    with ProcessPoolExecutor(asked.workers) as pool:
        for i, (cell, rows) in enumerate(zip(planned, pool.map(run, planned), strict=True), 1):
            found += rows
            for one in rows:
                print(f"{i}/{len(planned)} {line(one)}", flush=True)
            if not rows:
                print(f"{i}/{len(planned)} {cell.estimator} {cell.process}: no truth", flush=True)
    if not asked.draws:
        write([*(one for one in written() if asked.estimators and one.estimator not in asked.estimators), *found])
    off = [one for one in found if one.is_judged and not one.is_covered]
    print(f"{len(found)} rows, {sum(one.is_judged for one in found)} judged, {len(off)} off")


def line(one: Found) -> str:
    """One row for people."""
    verdict = "" if not one.is_judged else "covers" if one.is_covered else "OFF"
    return (
        f"{one.estimator:22}{one.estimand:8}{one.term:18}{one.process:24}{one.estimated:5}/{one.draws:<5}"
        f" bias {one.bias:8.4f} rmse {one.rmse:7.4f} se {one.mean_std_error:7.4f} coverage {one.coverage:6.3f}"
        f" {verdict}"
    )


def written() -> list[Found]:
    """The rows of the seed as it stands; none without it."""
    if not TABLE.exists():
        return []
    kinds = {"int": int, "float": lambda text: float(text or "nan"), "str": str}
    kinds |= {"bool": lambda text: text == "true", "bool | None": lambda text: text == "true" if text else None}
    fields = [one for one in dataclasses.fields(Found) if one.name != "seconds"]
    with TABLE.open(newline="") as file:
        return [
            Found(**{one.name: kinds[str(one.type)](row[one.name]) for one in fields}, seconds=float("nan"))
            for row in csv.DictReader(file)
        ]


def write(found: list[Found]) -> None:
    """The seed and the page, by estimator; seconds, which differ from run to run, are only printed."""
    found = sorted(found, key=lambda one: one.estimator)
    names = [field.name for field in dataclasses.fields(Found) if field.name != "seconds"]
    with TABLE.open("w", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(names)
        for one in found:
            lines.writerow([_cell(getattr(one, name)) for name in names])
    PAGE.write_text(page(found))


def page(found: list[Found]) -> str:
    """docs/calibration.md."""
    head = (
        "# Calibration\n\nWritten by `make calibrate`. Each row: an estimator on a process with known truth "
        "(benchmarks/calibration). Coverage is judged, within three Monte Carlo errors of 95 %, where the method's "
        "assumptions hold; weak overlap and small samples are shown only. A process with a row outside that band is "
        "drawn four times as often, and all draws are judged together.\n\n"
    )
    columns = ("estimator", "estimand", "term", "process", "n", "estimated", "draws", "bias", "rmse", "mean_std_error",
               "coverage", "rejection")  # fmt: skip
    rows = ["| " + " | ".join((*columns, "verdict")) + " |", "|" + "---|" * (len(columns) + 1)]
    for one in found:
        verdict = "shown" if not one.is_judged else "covers" if one.is_covered else "**off**"
        rows.append("| " + " | ".join([*(str(_cell(getattr(one, c))) for c in columns), verdict]) + " |")
    return head + "\n".join(rows) + "\n"


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.4g}"
    return "" if value is None else value


if __name__ == "__main__":
    main()
