"""A broken study with its right answer, and the sound studies that each case breaks in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

Units = dict[str, Any]
N = 80


@dataclass(frozen=True)
class Case:
    """One study, what is wrong with it and what it must say.

    Attributes
    ----------
    name : str
        Of the study; letters, digits and underscores, as it names tables.
    units, block : mapping
    words : tuple of str
        All of them stand in the reason of the primary row: what is wrong, where, and the mend.
    why : str
        Why this is the right answer.
    status : str
        Of the primary row.
    gate : str or None
        Subject of the failing contract gate; None where no contract is broken.
    value : float or None
        The estimate of a study that must have one, by a formula that is not the product's.
    edges : mapping or None
        The network.
    beside : tuple of str
        Further estimators that run; whatever they say keeps to what every row promises.
    """

    name: str
    units: Any
    block: Any
    words: tuple[str, ...]
    why: str
    status: str = "refused"
    gate: str | None = None
    value: float | None = None
    edges: Any = None
    beside: tuple[str, ...] = field(default=())


def as_table(units: Any) -> pa.Table:
    """The units as a warehouse holds them: a NaN stays a NaN, and is no NULL."""
    return units if isinstance(units, pa.Table) else pa.table({name: pa.array(of) for name, of in units.items()})


def decision(primary: str, estimand: str, **more: Any) -> dict[str, Any]:
    """The rule, with what is declared differently."""
    return {"primary": primary, "estimand": estimand, "desired_direction": "more", "minimum_effect": 0.5, **more}


def trial(**changed: Any) -> Units:
    """Eighty units: a treatment of every other one, covariates x and z, and an effect of about two."""
    rng = np.random.default_rng(12)
    x, z, noise = rng.normal(size=(3, N))
    t = np.tile([0.0, 1.0], N // 2)
    columns = {"unit_id": np.arange(N), "y": 1 + 2 * t + x - 0.5 * z + noise, "t": t, "x": x, "z": z}
    return {name: values for name, values in {**columns, **changed}.items() if values is not None}


def observational(**more: Any) -> dict[str, Any]:
    """Its block."""
    return {
        "question": "Does t raise y?", "design": "observational", "outcome": "y", "treatment": "t",
        "covariates": ["x", "z"], "decision": decision("regression_adjustment", "ATE"), **more,
    }  # fmt: skip


def panel(units: int = 24, periods: int = 6, **changed: Any) -> Units:
    """Units in the periods 2001 …; a third is treated from 2004 on, the others never."""
    rng = np.random.default_rng(5)
    unit, year = np.repeat(np.arange(units), periods), np.tile(np.arange(2001, 2001 + periods), units)
    cohort = np.where(unit % 3 == 0, 2004.0, np.nan)
    own, noise = rng.normal(size=units)[unit], rng.normal(size=len(unit))
    y = own + 0.2 * (year - 2001) + 1.5 * (year >= np.nan_to_num(cohort, nan=9999)) + 0.3 * noise
    columns = {"unit_id": unit, "year": year, "cohort": cohort, "y": y}
    return {name: values for name, values in {**columns, **changed}.items() if values is not None}


def staggered(**more: Any) -> dict[str, Any]:
    """Its block."""
    return {
        "question": "Does it raise y?", "design": "panel", "outcome": "y", "time": "year", "cohort": "cohort",
        "decision": decision("did", "ATT"), **more,
    }  # fmt: skip


def near_cutoff(n: int = 200, **changed: Any) -> Units:
    """A running variable between −1 and 1 with a jump of one at zero."""
    rng = np.random.default_rng(9)
    running = rng.uniform(-1, 1, n)
    y = 0.5 * running + 1.0 * (running >= 0) + 0.2 * rng.normal(size=n)
    return {"unit_id": np.arange(n), "running": running, "y": y, **changed}


def discontinuity(**more: Any) -> dict[str, Any]:
    """Its block."""
    return {
        "question": "Is there a jump?", "design": "rd", "outcome": "y", "running": "running", "cutoff": 0,
        "decision": decision("rd", "LATE"), **more,
    }  # fmt: skip


def encouraged(n: int = 200, **changed: Any) -> Units:
    """A coin that moves the treatment, and an effect of one."""
    rng = np.random.default_rng(4)
    coin = np.tile([0.0, 1.0], n // 2)
    hidden, noise = rng.normal(size=(2, n))
    t = (1.5 * coin + hidden > 0.75).astype(float)
    return {"unit_id": np.arange(n), "coin": coin, "t": t, "y": t + hidden + noise, "x": rng.normal(size=n), **changed}


def instrumented(**more: Any) -> dict[str, Any]:
    """Its block."""
    return {
        "question": "Does t raise y?", "design": "iv", "outcome": "y", "treatment": "t", "instruments": ["coin"],
        "decision": decision("iv", "LATE"), **more,
    }  # fmt: skip


def cell(name: str, value: Any, row: int = 7, made: Any = trial) -> list[Any]:
    """A column with one value put in."""
    column = list(made()[name])
    column[row] = value
    return column


def without(block: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """A block with roles left out."""
    return {name: value for name, value in block.items() if name not in names}


def interacted(units: Mapping[str, Any], covariates: tuple[str, ...], keep: Any = None) -> float:
    """Lin's regression by NumPy's QR: y on t, centred covariates with unit spread, and their products with t."""
    columns = {name: np.array(units[name], dtype=float) for name in ("y", "t", *covariates)}
    if keep is not None:
        columns = {name: values[keep] for name, values in columns.items()}
    t = columns["t"]
    parts = [np.ones_like(t), t]
    for name in covariates:
        centred = columns[name] - columns[name].mean()
        size = np.abs(centred).max()
        parts += [centred / size, t * centred / size]
    return float(np.linalg.lstsq(np.column_stack(parts), columns["y"], rcond=None)[0][1])


def contrast(units: Mapping[str, Any], keep: Any = None) -> float:
    """The difference of the arms' means."""
    y, t = np.array(units["y"], dtype=float), np.array(units["t"], dtype=float)
    if keep is not None:
        y, t = y[keep], t[keep]
    return float(y[t == 1].mean() - y[t == 0].mean())


def first_differences(units: Mapping[str, Any]) -> float:
    """The panel's effect: the mean change of its cohort since 2003 less that of the never treated."""
    unit, year, y = (np.asarray(units[name], dtype=float) for name in ("unit_id", "year", "y"))
    treated = unit % 3 == 0

    def change(rows: np.ndarray, period: float) -> float:
        return float(y[rows & (year == period)].mean() - y[rows & (year == 2003)].mean())

    return float(np.mean([change(treated, t) - change(~treated, t) for t in (2004, 2005, 2006)]))
