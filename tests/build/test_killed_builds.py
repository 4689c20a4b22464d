"""Builds killed at random moments under a reader that opens the warehouse all the time: it sees whole builds only.

Each build must begin where the killed one before it left off, with no help; the last is built to its end.
`CQOX_KILLS=30 python -m pytest tests/build/test_killed_builds.py -s` kills thirty, and builds whole after every third.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from projects import environment, installed, rows

pytestmark = pytest.mark.timeout(3600)
KILLS = int(os.environ.get("CQOX_KILLS", "5"))
STUDIES = ("cohort", "trial")
# Opens the file anew for every read, as a dashboard does, until it is asked to stop.
POLLER = """
import json, os, sys, time
from pathlib import Path
import duckdb
warehouse, stop = sys.argv[1], Path(sys.argv[2])
reads, seen, mixes, failures = 0, {}, [], []
# a test that is ended by its watchdog asks nobody to stop
parent = os.getppid()
while not stop.exists() and os.getppid() == parent:
    try:
        with duckdb.connect(warehouse, read_only=True) as connection:
            columns = [row[0] for row in connection.execute("describe marts.decision_cards").fetchall()]
            build = "build_id" if "build_id" in columns else \"\"\"(
                select build_id from marts.build_log
                where node = 'model.cqox.decision_cards' and status = 'success' order by position desc limit 1
            )\"\"\"
            cards = connection.execute(f'''
                select {build} as build_id, cards.study, cards.estimate, cards.estimated_at::text,
                    estimates.estimate, estimates.estimated_at::text
                from marts.decision_cards as cards
                left join marts.estimates as estimates on cards.study = estimates.study and estimates.is_primary
                order by cards.study
            ''').fetchall()
            times = connection.execute(
                "select study, count(*), min(estimated_at)::text, max(estimated_at)::text from marts.estimates "
                "group by study order by study"
            ).fetchall()
        reads += 1
        builds = {card[0] for card in cards}
        rows = json.dumps([cards, times])
        same = all(card[2] == card[4] and card[3] == card[5] for card in cards)
        if len(builds) != 1 or len(cards) != 2 or not same or seen.setdefault(cards[0][0], rows) != rows:
            mixes.append(rows)
    except Exception as error:
        failures.append(f"{type(error).__name__}: {error}")
    time.sleep(0.01)
print(json.dumps({"reads": reads, "builds": len(seen), "mixes": mixes, "failures": failures}))
"""


def small(folder: Path) -> Path:
    """An installed project of two studies, without its broken ones: its folder."""
    project = installed(folder)
    for file in [*(project / "models" / "broken").iterdir(), *(project / "python_models").iterdir()]:
        if not file.name.startswith(STUDIES):
            file.unlink()
    for name in ("missing_file", "zero_bytes", "header_only"):
        (project / "models" / "staging" / f"stg_files__{name}.sql").unlink()
    settings = (project / "dbt_project.yml").read_text()
    head, rest = settings.split("  studies:\n", 1)
    kept = rest[rest.index("  seed:") :]
    (project / "dbt_project.yml").write_text(f"{head}  studies: [{', '.join(STUDIES)}]\n{kept}")
    return project


def started(project: Path) -> subprocess.Popen[str]:
    """A build as the leader of a process group.

    Its tests are left out, for they write nothing but the log, and its seeds where the warehouse carries them over.
    """
    left_out = "test unit_test seed" if (project / "warehouse.duckdb").exists() else "test unit_test"
    command = [sys.executable, "-m", "commands.build", "--project", "integration_tests", "--no-report"]
    return subprocess.Popen(
        command, cwd=project.parent, env={**environment(), "DBT_EXCLUDE_RESOURCE_TYPES": left_out},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip


def whole(project: Path) -> float:
    """A build to its end: the seconds that it took."""
    began = time.monotonic()
    build = started(project)
    told = build.communicate(timeout=300)[0]
    assert "== marts: tables and decisions: done" in told, told[-3000:]
    assert build.returncode == 0, told[-3000:]
    return time.monotonic() - began


@pytest.fixture
def polled(tmp_path: Path) -> Iterator[tuple[Path, float, Any]]:
    """A project that was built once, the seconds of that, and a function that ends its reader and gives its counts."""
    project = small(tmp_path)
    seconds = whole(project)
    stop = tmp_path / "stop"
    command = [sys.executable, "-c", POLLER, str(project / "warehouse.duckdb"), str(stop)]
    reader = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def counts() -> dict[str, Any]:
        stop.touch()
        return json.loads(reader.communicate(timeout=30)[0])

    yield project, seconds, counts
    reader.kill()
    reader.wait()


def test_readers_see_whole_builds_whatever_is_killed(polled: tuple[Path, float, Any]) -> None:
    project, seconds, counts = polled
    seed = int(os.environ.get("CQOX_KILLS_SEED", time.time()))
    print(f"seed {seed}: {KILLS} kills within {seconds:.1f} s each")
    moments = random.Random(seed)
    killed = 0
    while killed < KILLS:
        build = started(project)
        try:
            build.wait(moments.uniform(0.0, seconds))
        except subprocess.TimeoutExpired:
            os.killpg(build.pid, signal.SIGKILL)
            killed += 1
        told = build.communicate(timeout=30)[0]
        assert "another build" not in told, told
        assert "Traceback" not in told, told
        if KILLS > 5 and killed % 3 == 0:
            whole(project)
    whole(project)
    read = counts()
    print({name: len(value) if isinstance(value, list) else value for name, value in read.items()})
    assert read["failures"] == []
    assert read["mixes"] == []
    assert read["reads"] > 10 * KILLS
    assert read["builds"] >= 2, "the reader saw none of the new builds"
    left = {file.name for file in project.iterdir() if ".duckdb" in file.name}
    assert left == {"warehouse.duckdb", ".warehouse.duckdb.lock"}
    # the log of every whole build was carried over, and its chain holds
    log = rows(project / "warehouse.duckdb", "select position, row_hash, previous_hash from marts.build_log order by 1")
    assert [entry["position"] for entry in log] == list(range(1, len(log) + 1))
    assert [entry["previous_hash"] for entry in log[1:]] == [entry["row_hash"] for entry in log[:-1]]
