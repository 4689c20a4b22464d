"""What the benchmarks make of their records: slopes, agreement, targets, tables, the page and its picture."""

import math

import pytest

from benchmarks import report, table
from benchmarks.jobs import JOBS
from benchmarks.peers import PEERS
from benchmarks.results import Results, agreements, append, slope, spread
from benchmarks.targets import targets

MACHINE = {
    "cpu": "Some CPU", "cores": 2, "ram_gib": 23.5, "system": "Linux x86_64", "python": "3.11.7",
    "duckdb": "1.5.5", "numpy": "2.4.6", "pyarrow": "26.0.1",
}  # fmt: skip


def record(job, rows, wall=1.0, status="done", mib=300.0, numbers=None, process=None):
    costs = {"process": wall + 1 if process is None else process, "peak_mib": mib, "floor": 1.0, "floor_cpu": 1.0}
    done = {"wall": wall, "cpu": wall, "ratio": wall, "cpu_ratio": wall, "numbers": numbers or {}}
    about = {"job": job, "rows": rows, "status": status, "at": "2026-11-23T10:00:00+00:00", "machine": MACHINE}
    return about | costs | (done if status == "done" else {})


def test_slope_is_of_logarithms():
    assert slope([(1e6, 2.0), (1e7, 20.0), (5e7, 100.0)]) == pytest.approx(1.0, abs=1e-12)
    assert slope([(1e6, 3.0), (4e6, 6.0)]) == pytest.approx(0.5, abs=1e-12)
    assert slope([(1, 1.0), (10, 10.0), (100, 1000.0)]) == pytest.approx(1.5, abs=1e-12)
    assert slope([(1e6, 2.0)]) is None
    assert slope([(1e6, 2.0), (1e6, 3.0)]) is None


def test_spread_is_the_farthest_from_the_mean():
    assert spread([(1, 90.0), (2, 110.0), (3, 100.0)]) == pytest.approx(0.1)
    assert spread([(1, 100.0)]) is None


def test_agreement_is_relative_and_a_nan_never_agrees():
    job = PEERS["doubleml_plr"]
    ours = record("linear", 10, numbers={"plr": 2.0, "plr_se": 0.1})
    close = record("doubleml_plr", 10, numbers={"plr": 2.000001, "plr_se": 0.1})
    first, second = agreements(job, close, ours)
    assert first.difference == pytest.approx(5e-7)
    assert first.holds
    assert second.difference == 0
    far = agreements(job, record("doubleml_plr", 10, numbers={"plr": 2.1, "plr_se": math.nan}), ours)
    assert [one.holds for one in far] == [False, False]
    assert agreements(job, record("doubleml_plr", 10, status="> 10 min"), ours) == []
    assert agreements(job, close, None) == []


def test_lines_of_what_ended_what_was_stopped_and_what_failed():
    ours = record("linear", 10, wall=4.0, numbers={"ols": 2.0, "ols_se": 0.1})
    results, job = Results((ours,)), PEERS["statsmodels_ols"]
    good = record("statsmodels_ols", 10, wall=49.0, numbers={"ols": 2.0, "ols_se": 0.1})
    assert table.cells(good, job, results) == [
        "statsmodels_ols", "50.00", "49.00", "49.00", "300", "49.00", "10.0", "0e+00",
    ]  # fmt: skip
    bad = record("statsmodels_ols", 10, numbers={"ols": 1.9, "ols_se": 0.1})
    assert table.cells(bad, job, results)[-1] == "DIFFERS 5e-02"
    slow = record("statsmodels_ols", 10, status="> 10 min", process=600.0)
    assert table.cells(slow, job, results)[1:] == ["> 10 min", "", "", "300", "", "> 120.0", ""]
    large = record("statsmodels_ols", 10, status="> 20 GiB", mib=20_500.0)
    assert table.cells(large, job, results)[1:] == ["> 20 GiB", "", "", "20500", "", "", ""]
    assert table.cells(record("linear", 10, status="failed"), JOBS["linear"], results)[1] == "failed"
    assert len(table.line(good, job, results)) == len(table.head())


def test_targets_met_missed_and_unknown():
    known = [
        record("moments", 10, wall=2.9), record("linear", 10, wall=7.0), record("propensity", 10, wall=31.0),
        record("psm", 10, wall=20.0, numbers={"match_s": 5.5}), record("statsmodels_ols", 10, wall=99.0),
        record("pyfixest_ols", 10, wall=38.0), record("linearmodels_iv", 10, status="failed"),
        record("doubleml_plr", 10, wall=200.0, mib=8_000.0), record("econml_plr", 10, wall=300.0, mib=5_000.0),
    ]  # fmt: skip
    found = {one.what: one for one in targets(Results(tuple(known)), 10)}
    assert [(one.measured, one.met) for one in found.values()][:8] == [
        ("2.90 ×", True), ("7.00 ×", True), ("4.9 ×", False), ("25.1 ×", True), ("1/17", False), ("31.00 ×", False),
        ("5.50 ×", False), ("not measured", None),
    ]  # fmt: skip
    assert found["linear: log-log slope of seconds"].met is None


def test_a_peer_that_was_stopped_bounds_the_ratio():
    def measured(*peers, ours=9.0):
        found = targets(Results((record("did", 10, wall=ours), *peers)), 10)
        return next((one.measured, one.met) for one in found if "diff-diff" in one.what)

    stopped = record("csdid", 10, status="> 10 min", process=600.0)
    assert measured(stopped) == ("> 60.0 ×", True)
    assert measured(stopped, ours=199.0) == ("> 3.0 ×", None)
    assert measured(stopped, record("diff_diff", 10, wall=59.0)) == ("6.0 ×", True)
    assert measured(record("csdid", 10, status="> 20 GiB")) == ("not measured", None)


def test_growth_targets_take_all_sizes():
    known = [record("moments", n, wall=n / 1e6, mib=m) for n, m in ((1_000_000, 280.0), (50_000_000, 300.0))]
    known += [record("linear", n, wall=1 + n / 1e6, mib=m) for n, m in ((1_000_000, 280.0), (50_000_000, 600.0))]
    found = {one.what: (one.measured, one.met) for one in targets(Results(tuple(known)))}
    assert found["moments: log-log slope of seconds"] == ("1.00 (floor 0.00)", True)
    assert found["moments: peak memory over the sizes"] == ("± 3%", True)
    assert found["linear: log-log slope of seconds"] == ("0.83 (floor 0.00)", False)
    assert found["linear: peak memory over the sizes"] == ("± 36%", False)


def _records():
    sizes, out = (1_000_000, 10_000_000), []
    for n in sizes:
        numbers = {"ols": 2.0, "ols_se": 0.1, "plr": 2.0, "plr_se": 0.1}
        out += [record("floor", n, n / 1e7), record("linear", n, n / 2e6, numbers=numbers)]
        out += [
            record("statsmodels_ols", n, n / 1e5, numbers={"ols": 2.0000001, "ols_se": 0.1}) | {"version": "0.15.0"}
        ]
        out += [record("econml_plr", n, status="> 20 GiB", mib=20_500.0)]
    study = {"rows_estimated": 20.0, "rows_refused": 1.0, "rows_failed": 0.0, "ipw_ate_s": 12.34}
    return [*out, record("study", 10_000_000, 50.0, numbers=study)]


def test_the_page_holds_every_table(tmp_path):
    text = report.page(Results(tuple(_records())))
    assert "Some CPU, 2 cores, 23.5 GiB of memory" in text
    assert "| linear, in process | ≤ 8 × floor | 5.00 × | met |" in text
    assert "| statsmodels_ols (0.15.0) | 101.00 | 100.00 | 100.00 | 300 | 100.00 | 16.8 | 5e-08 |" in text
    assert "| econml_plr | > 20 GiB |  |  | 20500 |  |  |  |" in text
    assert "| linear | 1.00 | 300 | 300 | ± 0% |" in text
    assert "| statsmodels_ols: ols | 10,000,000 | 2 | 2.0000001 | 5e-08 | 1e-06 | yes |" in text
    assert "Rows: 20 estimated, 1 refused, 0 failed." in text
    assert "| ipw_ate | 12.3 |" in text
    for line in (line for line in text.splitlines() if line.startswith("|")):
        assert line.endswith("|")


def test_the_report_fills_the_page_between_its_marks_and_draws(tmp_path, capsys):
    file, page = tmp_path / "r.jsonl", tmp_path / "page.md"
    for one in _records():
        append(one, file)
    page.write_text(f"before\n{report.BEGIN}\nold numbers\n{report.END}\nafter\n")
    report.main([str(file), "--page", str(page)])
    text = page.read_text()
    assert text.startswith(f"before\n{report.BEGIN}\n\nMeasured 2026-11-23 on Some CPU")
    assert text.endswith(f"{report.END}\nafter\n")
    assert "old numbers" not in text
    assert (tmp_path / report.PICTURE).read_bytes().startswith(b"\x89PNG")
    report.main([str(file), "--page", str(page)])
    assert page.read_text() == text


def test_a_page_without_marks_and_a_run_without_results(tmp_path, capsys):
    with pytest.raises(ValueError, match="the page lacks the lines"):
        report.filled("no marks", "x")
    empty = tmp_path / "r.jsonl"
    empty.write_text("")
    with pytest.raises(SystemExit):
        report.main([str(empty)])
    assert "there are no results" in capsys.readouterr().err


def test_the_real_page_has_the_marks():
    assert report.filled(report.PAGE.read_text(), "x")
