"""The gates of whole studies, judged by DuckDB and by Spark through dbt-spark's session method: the same rows."""

from __future__ import annotations

from typing import Any

import duckdb
import pytest
import spark_support
from projects import copied, dbt, rows

# An experiment with scores, and instruments without; `_design` and `_scores` come from Python, so DuckDB's are written.
STUDIES = {"nsw": ("units", "scores", "design"), "card": ("units", "design")}
COLUMNS = (
    "gate", "subject", "estimand", "estimator", "value", "threshold", "is_passing", "blocks", "severity", "reason",
    "remedy",
)  # fmt: skip


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any]]:
    """Rows of each study's gates by gate, subject, estimand and estimator: DuckDB's and Spark's."""
    spark = spark_support.session()
    project = copied(tmp_path_factory.mktemp("gates"))
    wanted = [f"{study}_gates" for study in STUDIES]
    done = dbt(project, "build", "--exclude-resource-type", "test", "--select", *(f"+{name}" for name in wanted))
    assert done.returncode == 0, done.stdout + done.stderr
    warehouse = project / "warehouse.duckdb"
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        for study, tables in STUDIES.items():
            for table in tables:
                name = f"studies.{study}_{table}"
                spark_support.write(spark, name, connection.execute(f"select * from {name}").to_arrow_table())
    choice = ("--exclude-resource-type", "test", "--select", "gate_policy", "gate_exceptions", *wanted)
    spark_support.dbt(project, "cqox", "build", *choice)
    ours, theirs = {}, {}
    for name in wanted:
        ours[name] = by_key(rows(warehouse, f"select * from studies.{name}"))
        theirs[name] = by_key([row.asDict() for row in spark.table(f"studies.{name}").collect()])
    # The log of the build is written by the same hook, and its timestamps by Spark's rules.
    assert {row.status for row in spark.table("marts.build_log").collect()} == {"success"}
    return ours, theirs


def by_key(found: list[dict[str, Any]]) -> dict[tuple[Any, ...], dict[str, Any]]:
    picked = [{name: row[name] for name in COLUMNS} for row in found]
    out = {tuple(row[name] for name in COLUMNS[:4]): row for row in picked}
    assert len(out) == len(picked) > 20
    return out


def words(value: Any) -> Any:
    """A number that is zero but for rounding has either sign, and the reason shows it."""
    return value.replace(" is -0.000 ", " is 0.000 ") if isinstance(value, str) else value


@pytest.mark.parametrize("study", STUDIES)
def test_the_same_gates(judged: Any, study: str) -> None:
    ours, theirs = (side[f"{study}_gates"] for side in judged)
    assert set(ours) == set(theirs)
    for key, row in ours.items():
        for name, value in row.items():
            if isinstance(value, float):
                value = pytest.approx(value, rel=1e-9, abs=1e-12)
            assert words(theirs[key][name]) == words(value), (key, name)
    assert {key[0] for key in ours} >= {"contract", "collinearity"}
    assert any(row["value"] is not None and row["value"] % 1 for row in ours.values())
