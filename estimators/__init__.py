"""CQOx estimators: what a dbt Python model calls. Python estimates; SQL gates and decides."""

from __future__ import annotations

from .build import design, estimate, score
from .errors import Refusal, StudyError
from .study import Study

__all__ = ["Refusal", "Study", "StudyError", "design", "estimate", "score"]
