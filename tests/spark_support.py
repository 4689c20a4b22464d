"""A local Spark for the tests, one a process, and dbt on that same session. `make spark` has what they need."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

PROFILE = """
{profile}:
  target: spark
  outputs:
    spark: {{type: spark, method: session, host: NA, schema: studies, threads: 1}}
"""


def session() -> Any:
    """The session, or a skip that says what is missing. Tables live in the session's own catalog and end with it."""
    for name in ("pyspark", "dbt.adapters.spark"):
        pytest.importorskip(name, reason="no pyspark or dbt-spark here: `make spark` runs these tests")
    import pyspark

    if not (shutil.which("java") or os.environ.get("JAVA_HOME")):
        pytest.skip("Spark needs Java 17")
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    settings = {
        "spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false", "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": "2g", "spark.sql.shuffle.partitions": "2", "spark.log.level": "ERROR",
        "spark.sql.catalogImplementation": "in-memory",
    }  # fmt: skip
    active = pyspark.sql.SparkSession.getActiveSession()
    if active is not None:
        return active
    settings["spark.sql.warehouse.dir"] = tempfile.mkdtemp(prefix="cqox_spark_")
    builder = pyspark.sql.SparkSession.builder.master("local[2]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def write(spark: Any, name: str, table: Any) -> None:
    """An Arrow table as a table of the session, ``schema.name``; its rows in as many partitions as a shuffle has."""
    spark.sql(f"create schema if not exists {name.split('.')[0]}")
    spark.createDataFrame(table).repartition(2).write.mode("overwrite").saveAsTable(name)


def dbt(project: Path, profile: str, *arguments: str) -> None:
    """A dbt command on the session, inside this process: the tables of another process would not be seen."""
    from dbt.cli.main import dbtRunner

    profiles = project / "profiles_spark"
    profiles.mkdir(exist_ok=True)
    (profiles / "profiles.yml").write_text(PROFILE.format(profile=profile))
    places = ["--project-dir", str(project), "--profiles-dir", str(profiles), "--log-path", str(project / "logs")]
    done = dbtRunner().invoke(["--quiet", "--no-use-colors", *arguments, *places])
    assert done.success, done.exception or [result.message for result in done.result or []]
