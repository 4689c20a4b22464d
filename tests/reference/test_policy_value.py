"""Off-policy values on the Open Bandit log of this project's own data, against obp."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from support import DECISION, overall, run

from estimators.result import Result

DATA = Path(__file__).resolve().parents[2] / "data"
# What `open_bandit_units` holds: the lot's log, and how often Thompson sampling showed the same item at that place.
LOG = f"""
    with sampler as (
        select position, item_id, count(*) * 1.0 / sum(count(*)) over (partition by position) as p
        from '{DATA}/open_bandit_bts_men.parquet' group by position, item_id
    )
    select row_number() over (order by log.file_row_number) as unit_id, log.item_id as item, log.click::double as y,
        log.propensity_score as logged, coalesce(sampler.p, 0) as evaluated
    from read_parquet('{DATA}/open_bandit_random_men.parquet', file_row_number = true) as log
    left join sampler using (position, item_id)
"""
# obp 0.4.1, _estimate_round_rewards of each estimator on these rows: the mean, and its sd (ddof 0) over root n.
OBP = {
    "ips": (0.005656266700835461, 0.001397529650650175),  # InverseProbabilityWeighting
    "snips": (0.005739864701951365, None),  # SelfNormalized…; it has no standard error but the bootstrap's
}
BLOCK: dict[str, Any] = {
    "question": "q", "design": "experiment", "outcome": "y", "arms": "item", "logged_propensity": "logged",
    "decision": {**DECISION, "primary": "policy_value", "estimand": "policy_value"},
    "options": {"policy_value": {"evaluated_policy": ["evaluated"]}},
}  # fmt: skip


@pytest.fixture(scope="module")
def log() -> pa.Table:
    with duckdb.connect() as connection:
        return connection.sql(LOG).to_arrow_table()


@pytest.fixture(scope="module")
def ours(log: pa.Table) -> Result:
    return run(BLOCK, log, "policy_value", "policy_value")


@pytest.mark.parametrize("method", OBP)
def test_values_are_obps(ours: Result, method: str) -> None:
    value, error = OBP[method]
    row = overall(ours, method)
    assert row.estimate == pytest.approx(value, rel=1e-12)
    if error is not None:  # ours divides by n − 1
        assert row.std_error == pytest.approx(error, rel=1e-4)


def test_the_samplers_own_log_agrees(ours: Result) -> None:
    """The value from the lot's log, against the clicks that Thompson sampling itself got."""
    with duckdb.connect() as connection:
        mean, variance, n = connection.sql(
            f"select avg(click), var_samp(click), count(*) from '{DATA}/open_bandit_bts_men.parquet'"
        ).fetchone()
    row = overall(ours, "snips")
    assert abs(row.estimate - mean) < 2 * (row.std_error**2 + variance / n) ** 0.5
