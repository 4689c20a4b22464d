"""Buffers that a scan uses again from block to block."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .frame import GAP


@dataclass
class Room:
    """Named arrays that are allocated once: fresh ones of a megabyte cost a page fault every 4 KiB, each time."""

    held: dict[str, np.ndarray] = field(default_factory=dict)

    def take(self, name: str, rows: int, columns: int) -> np.ndarray:
        """An array of shape (rows, columns) with whatever stood in it; the next one of that name is the same memory."""
        held = self.held.get(name)
        if held is None or held.shape[0] < rows or held.shape[1] < columns + GAP:
            self.held[name] = held = np.empty((rows, columns + GAP))
        return held[:rows, :columns]
