"""Cross-fitting folds that DuckDB, Postgres, Spark and Python all compute alike."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

# Whole numbers of this size or more, held as floating point, are labels as they are printed (1e+40) and not by digits.
LONGEST = 1e38


def md5_folds(unit_ids: Iterable[object], n_folds: int, seed: int) -> np.ndarray:
    """Fold of each unit: the first 32 bits of md5(``id:seed``), modulo the number of folds.

    The same as ``('0x' || substr(md5(id || ':' || seed), 1, 8))::bigint % k`` in DuckDB, so a fold belongs to a
    unit and not to its place in the table.

    Parameters
    ----------
    unit_ids : iterable of length n
        Whole numbers or text.
    n_folds : int
        At least 1.
    seed : int
        The study's seed.

    Returns
    -------
    ndarray of shape (n,), int64
        Values 0 … n_folds − 1.

    Raises
    ------
    ValueError
        If ``n_folds`` is below 1.
    """
    if n_folds < 1:
        raise ValueError(f"folds must be at least 1, not {n_folds}")
    codes = (int(hashlib.md5(f"{i}:{seed}".encode()).hexdigest()[:8], 16) for i in unit_ids)
    return np.fromiter((code % n_folds for code in codes), dtype=np.int64)
