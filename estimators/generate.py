"""Studies with known truth, in which every estimator's answer can be checked; one process a file in `processes`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .processes.ecommerce import ecommerce
from .processes.education import education
from .processes.finance import finance
from .processes.healthcare import healthcare
from .processes.parts import SEED, Columns, Generated, Truth

__all__ = ["SEED", "STUDIES", "Columns", "Generated", "Truth"]

STUDIES: Mapping[str, Callable[[], Generated]] = {
    "healthcare": healthcare,
    "education": education,
    "finance": finance,
    "ecommerce": ecommerce,
}
