"""The partially linear model within units against Wooldridge's fixed effects of the union wage premium."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from support import DECISION, overall, run

DATA = Path(__file__).resolve().parents[2] / "data"
# Wooldridge, Econometric Analysis, table 14.2 (Vella & Verbeek 1998): 0.080 (0.019), classical errors.
PUBLISHED = 0.080
# linearmodels 7.1: PanelOLS(…, entity_effects=True, time_effects=True).fit(cov_type="clustered", cluster_entity=True,
# debiased=False, group_debias=True), which multiplies the variance by G/(G − 1) · (N − 1)/N and, because it counts the
# 545 + 8 − 1 absorbed effects, by N/(N − 552). Ours has G/(G − 1) alone: effects lie within clusters.
PEER, PEER_ERROR = 0.08000185412553182, 0.024305014988074313
BLOCK: dict[str, Any] = {
    "question": "q", "design": "observational", "outcome": "lwage", "treatment": "union", "unit": "nr", "time": "year",
    "covariates": ["exper^2", "married"], "options": {"folds": 1, "tvce_panel": {"variance": "CR1"}},
    "decision": {**DECISION, "primary": "tvce_panel", "estimand": "ATE"},
}  # fmt: skip


@pytest.fixture(scope="module")
def wages() -> pa.Table:
    columns = 'nr, year, lwage, "union", exper, married'
    with duckdb.connect() as connection:
        return connection.sql(f"select {columns} from '{DATA}/wage_panel.csv'").to_arrow_table()


def test_one_fold_is_wooldridges_fixed_effects(wages: pa.Table) -> None:
    ours = overall(run(BLOCK, wages, "tvce_panel", "ATE"))
    assert abs(ours.estimate - PUBLISHED) < 0.0005
    assert ours.estimate == pytest.approx(PEER, rel=1e-9)
    rows = wages.num_rows
    assert ours.std_error == pytest.approx(PEER_ERROR * ((rows - 552) / (rows - 1)) ** 0.5, rel=1e-6)


@pytest.mark.parametrize("learner", ["linear", "lasso"])
def test_cross_fitting_stays_within_a_tenth_of_the_published_error(wages: pa.Table, learner: str) -> None:
    """Two covariates that hardly matter: out-of-fold nuisances of 545 men move little."""
    ours = overall(run({**BLOCK, "options": {"tvce_panel": {"learner": learner}}}, wages, "tvce_panel", "ATE"))
    assert abs(ours.estimate - PUBLISHED) < 0.0019
