"""The declared sample on which learners train where a study has more rows than its budget."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from ..scan import columns as scan_columns
from ..scan.stream import Column, Source, blocks, quoted
from .problem import Streamed

HASHES = 2**32


@dataclass(frozen=True)
class Training:
    """The sample's rows.

    Attributes
    ----------
    x : ndarray of shape (m, p)
        In raw units: in those of a scan's first block, another order of the rows would round trees' cuts otherwise.
    weight : ndarray of shape (m,)
        Sampling weights; ones where none are declared.
    fold : ndarray of shape (m,), int64
    """

    x: np.ndarray
    weight: np.ndarray
    fold: np.ndarray


def training_sample(problem: Streamed, columns: tuple[Column, ...]) -> Training:
    """The ``row_budget`` rows whose unit has the smallest hash, in the order of the unit.

    The hash is the first 32 bits of md5(``unit:seed + 1``), as folds are made of md5(``unit:seed``): it depends neither
    on the order of the rows nor on the fold. Held in memory: row_budget x (p + 2) numbers of 8 bytes, and nothing else.
    """
    plan = dataclasses.replace(problem.plan(columns), cluster=None)
    x, weight, fold = [], [], []
    for block in blocks(sampled(problem), plan):
        x.append(np.column_stack(block.columns))
        weight.append(np.ones(block.n) if block.weight is None else block.weight.copy())
        fold.append(np.zeros(block.n, dtype=np.int64) if block.group is None else block.group.astype(np.int64))
    return Training(np.concatenate(x), np.concatenate(weight), np.concatenate(fold))


def sampled(problem: Streamed) -> Source:
    """The sample's rows as a source."""
    study, source, budget = problem.study, problem.source, problem.study.row_budget
    unit = quoted(study.unit)
    hashed = scan_columns.fold(study.unit, problem.types[study.unit], HASHES, study.seed + 1)
    # Only a few more rows than are wanted need sorting: a share with six standard deviations of its count to spare.
    share = (budget + 6 * math.sqrt(budget) + 6) / problem.n
    kept = source if share >= 1 else source.kept(f"{hashed} < {math.ceil(share * HASHES)}")
    where = f" where {kept.where}" if kept.where else ""
    rows = f"select * from {kept.relation}{where} order by {hashed}, {unit} limit {budget}"
    return Source(source.connection, f"(select * from ({rows}) order by {unit})")
