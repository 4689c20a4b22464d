"""Write seeds/estimator_catalogue.csv from the registry: what each estimator needs, gives and assumes, for SQL."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from estimators.registry import ESTIMATORS, NAIVE

SEED = Path(__file__).resolve().parents[1] / "seeds" / "estimator_catalogue.csv"
COLUMNS = ("estimator", "title", "needs", "treatment", "estimands", "assumptions", "when_not", "source", "is_naive")


def catalogue() -> str:
    """The seed's text, one line an estimator in the registry's order."""
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\n")
    lines.writerow(COLUMNS)
    for e in ESTIMATORS:
        needs, estimands = " ".join(e.needs), " ".join(e.estimands)
        row = (e.name, e.title, needs, e.treatment or "none", estimands, e.assumptions, e.when_not, e.source)
        lines.writerow((*row, str(e.name in NAIVE).lower()))
    return out.getvalue()


if __name__ == "__main__":
    SEED.write_text(catalogue())
    print(f"{SEED.name}: {len(ESTIMATORS)} estimators")
