"""What a leverage does to a residual, in one place for memory, streams and engines."""

from __future__ import annotations

import numpy as np

# A unit whose leverage is nearer to one is fitted exactly: what is left of its residual is rounding.
ALONE = 1e-10

POWERS = {"HC0": 0.0, "HC1": 0.0, "HC2": 0.5, "HC3": 1.0}


def inflation(leverage: np.ndarray, kind: str) -> np.ndarray:
    """What a residual is multiplied by: 1 / √(1 − h) for HC2, 1 / (1 − h) for HC3 (MacKinnon & White 1985).

    A unit of leverage one has a residual of zero and no part in the variance: 0/0 is 0 here, as if its row and the
    column that it alone decides were not there.

    Parameters
    ----------
    leverage : ndarray
        h, of any shape.
    kind : str
        HC0 and HC1 multiply by one.
    """
    power = POWERS[kind]
    if not power:
        return np.ones_like(leverage)
    room = 1.0 - leverage
    free = room > ALONE
    return np.where(free, np.where(free, room, 1.0) ** -power, 0.0)
