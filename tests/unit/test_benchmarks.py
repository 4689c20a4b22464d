"""The benchmarks: generated data, what is compared with what, and the reading of results. No timing."""

import dataclasses
import sys
import time
from pathlib import Path

import duckdb
import pytest

from benchmarks import panel, run, worker
from benchmarks.design import COVARIATES, DATA, FOLD, FOLDS, INSTRUMENTS, PANEL, SEED, Limits
from benchmarks.generate import units
from benchmarks.jobs import JOBS
from benchmarks.peers import PEERS
from benchmarks.results import Results, agreements, append, read
from benchmarks.watch import passed, watched
from estimators import Study
from estimators.folds import md5_folds


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return units(4_000, folder=tmp_path_factory.mktemp("data"))


def test_units_have_24_columns_and_the_md5_fold_of_a_study_by_default(path):
    table = duckdb.read_parquet(str(path))
    assert set(table.columns) == {*DATA, FOLD}
    assert len(DATA) == 24
    ids, folds = zip(*table.project("id, fold").fetchall(), strict=True)
    assert list(folds) == md5_folds(ids, FOLDS, SEED).tolist()
    defaults = {field.name: field.default for field in dataclasses.fields(Study)}
    assert (defaults["folds"], defaults["seed"]) == (FOLDS, SEED)


def test_units_are_written_once_and_more_rows_begin_alike(path):
    before = path.stat().st_mtime_ns
    assert units(4_000, folder=path.parent) == path
    assert path.stat().st_mtime_ns == before
    fewer = units(1_000, folder=path.parent)
    differ = f"select count(*) from (from '{fewer}' except from (from '{path}' where id < 1000))"
    assert duckdb.sql(differ).fetchone() == (0,)


def test_the_floor_sums_every_column_but_the_fold(path, monkeypatch):
    from benchmarks.floor import floor

    asked, real = [], duckdb.connect

    class Spy:
        def __enter__(self):
            self.connection = real()
            return self

        def __exit__(self, *_):
            self.connection.close()

        def execute(self, sql):
            asked.append(sql)
            return self.connection.execute(sql)

    monkeypatch.setattr(duckdb, "connect", Spy)
    assert floor(path) == {}
    assert asked[-1].count("sum(") == 24
    assert f'"{FOLD}"' not in asked[-1]


def test_peers_know_the_panels_columns():
    assert (PANEL.unit, PANEL.time, PANEL.cohort, PANEL.outcome) == (
        panel.UNIT, panel.TIME, panel.COHORT, panel.OUTCOME,
    )  # fmt: skip


def test_every_peer_is_compared_with_a_job_of_ours():
    for name, job in PEERS.items():
        assert job.against in JOBS, name
        assert job.package, name
        assert job.same, name
        assert job.data == JOBS[job.against].data, name


def test_linear_agrees_with_statsmodels_and_two_stages_by_hand(path):
    import numpy as np

    ours = JOBS["linear"].run(path)
    peer = PEERS["statsmodels_ols"].run(path)
    found = agreements(
        PEERS["statsmodels_ols"], {"status": "done", "numbers": peer}, {"status": "done", "numbers": ours}
    )
    assert [one.name for one in found] == ["ols", "ols_se"]
    assert all(one.holds for one in found)
    names = ["y", "t", *INSTRUMENTS, *COVARIATES]
    data = duckdb.read_parquet(str(path)).project(", ".join(names)).fetchnumpy()
    y, t, *rest = (np.asarray(data[name], dtype=float) for name in names)
    z = np.column_stack([np.ones(len(y)), *((x - x.mean()) / x.std() for x in rest)])
    fitted = z @ np.linalg.lstsq(z, t, rcond=None)[0]
    second = np.column_stack([fitted, z[:, 0], *z[:, 4:].T])
    assert ours["iv"] == pytest.approx(np.linalg.lstsq(second, y, rcond=None)[0][0], rel=1e-9)
    assert ours["plr"] == pytest.approx(ours["ols"], rel=0.05)


def test_the_fold_of_the_file_and_of_the_scan_are_the_same(path):
    stored, computed = JOBS["linear"].run(path), JOBS["linear_md5"].run(path)
    assert stored == pytest.approx(computed, rel=1e-12)
    assert JOBS["moments"].run(path) == JOBS["moments_md5"].run(path) == {"rows": 4_000.0}


def test_a_job_tells_its_costs(path):
    got = worker.timed("moments", path)
    assert got["numbers"] == {"rows": 4_000.0}
    assert 0 < got["wall"] < 60
    assert got["peak_mib"] > 50
    assert "version" not in got


# -- processes that are watched ---------------------------------------------------------------------------------------


def _watch(code, seconds=30.0, mib=20_000.0):
    return watched([sys.executable, "-c", code], {}, Limits(seconds, mib), Path.cwd())


def test_a_process_that_ends_and_one_that_fails():
    done = _watch("print('hello')")
    assert (done.status, done.out) == ("done", "hello\n")
    failed = _watch("raise ValueError('no such column')")
    assert failed.status == "failed"
    assert run._reason(failed.err) == "ValueError: no such column"
    assert run._reason("\n") == "stopped by the system, probably for want of memory"


def test_a_process_that_passes_its_time_is_stopped_with_its_children(tmp_path):
    mark = tmp_path / "alive"
    child = f"import time; time.sleep(3); open({str(mark)!r}, 'w')"
    code = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {child!r}]); time.sleep(30)"
    got = _watch(code, seconds=1.0)
    assert got.status == "> 0.0166667 min"
    assert got.seconds < 10
    time.sleep(3)
    assert not mark.exists()


def test_a_process_that_passes_its_memory_is_stopped():
    got = _watch("x = bytearray(400 * 2**20); import time; time.sleep(30)", mib=256.0)
    assert got.status == "> 0.25 GiB"
    assert got.peak_mib > 256


def test_limits_say_themselves():
    assert passed(601, 10, Limits()) == "> 10 min"
    assert passed(10, 20_481, Limits()) == "> 20 GiB"
    assert passed(600, 20_480, Limits()) is None


# -- the command ------------------------------------------------------------------------------------------------------


def test_arguments():
    asked = run.parsed(["--rows", "1_000_000", "10_000_000"])
    assert asked.rows == [1_000_000, 10_000_000]
    assert asked.jobs == list(JOBS)
    assert asked.results.parent.name == "results"
    asked = run.parsed(["--peers", "--peers-python", sys.executable])
    assert asked.jobs == [*JOBS, *PEERS]
    assert run.parsed(["--jobs", "linear", "floor"]).jobs == ["linear", "floor"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--rows", "0"], "at least 1"),
        (["--repeats", "0"], "at least 1"),
        (["--jobs", "magic"], "invalid choice: 'magic'"),
        (["--peers", "--peers-python", "/nowhere/python"], "there is no /nowhere/python: `make .venv-peers/installed`"),
    ],
)
def test_bad_arguments(arguments, told, capsys):
    with pytest.raises(SystemExit):
        run.parsed(arguments)
    assert told in capsys.readouterr().err


def test_the_fastest_run_counts_against_the_fastest_floor(monkeypatch):
    walls = {"floor": [2.0, 1.0, 1.5], "linear": [9.0, 5.0]}

    def once(job, path, python):
        return {"job": job, "status": "done", "wall": (wall := walls[job].pop(0)), "cpu": 2 * wall, "process": wall + 1}

    monkeypatch.setattr(run, "once", once)
    got = run.compared("linear", Path("x"), 2, Path("python"))
    assert (got["wall"], got["ratio"], got["cpu_ratio"], got["floor"]) == (5.0, 5.0, 5.0, 1.0)
    assert walls == {"floor": [], "linear": []}


def _made(job, path, repeats, python):
    if job == "csdid":
        return {"job": job, "status": "failed", "process": 1.0, "peak_mib": 9.0, "reason": "Boom", "floor": 1.0}
    if job == "econml_plr":
        return {"job": job, "status": "> 20 GiB", "process": 4.0, "peak_mib": 20_500.0, "floor": 1.0}
    costs = {"process": 3.0, "wall": 2.0, "cpu": 2.0, "peak_mib": 300.0, "ratio": 2.0, "floor": 1.0}
    return {"job": job, "status": "done", **costs, "numbers": {"plr": 2.0, "plr_se": 0.1}}


def test_a_failing_peer_stops_nothing_and_results_come_as_they_go(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(run, "compared", _made)
    monkeypatch.setattr(run, "generated", lambda data, rows: Path(data))
    file = tmp_path / "deep" / "r.jsonl"
    jobs = ["linear", "csdid", "econml_plr", "doubleml_plr"]
    where = ["--results", str(file), "--peers-python", sys.executable]
    assert run.main(["--rows", "1_000", "2_000", *where, "--jobs", *jobs]) == 0
    assert [(one["job"], one["rows"]) for one in read([file]).records] == [(j, n) for n in (1_000, 2_000) for j in jobs]
    out = capsys.readouterr().out
    assert "Boom" in out
    assert "> 20 GiB" in out
    assert "missed linear against EconML's and DoubleML's PLR, whole process: 1.0 ×" in out
    # a later run of one peer is compared with what the file holds
    assert run.main(["--rows", "1_000", *where, "--jobs", "doubleml_plr"]) == 0
    assert "0e+00" in capsys.readouterr().out


def test_a_failing_job_of_ours_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "generated", lambda data, rows: Path(data))
    monkeypatch.setattr(run, "compared", lambda *_: {**_made("csdid", *_[1:]), "job": "linear"})
    assert run.main(["--jobs", "linear", "--results", str(tmp_path / "r.jsonl")]) == 1


def test_results_are_the_newest_of_the_last_machine(tmp_path):
    file = tmp_path / "r.jsonl"
    for machine, wall in (("a", 1.0), ("b", 2.0), ("b", 3.0)):
        append({"job": "linear", "rows": 10, "status": "done", "wall": wall, "machine": machine}, file)
    got = read([file])
    assert len(got.records) == 3
    assert got.of_last_machine().get("linear", 10)["wall"] == 3.0
    assert got.of_last_machine().series("linear", "wall") == [(10, 3.0)]
    assert Results(()).of_last_machine() == Results(())
