"""The commands: the table of decisions, and a build that tells what is not well."""

import os
import signal
import subprocess
import sys
import time

import duckdb
import pytest

from commands import build, decisions
from commands.dbt_call import Called, Node
from commands.warehouse import Problem
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
        connection.execute("create table marts.currency (study text, is_current boolean, reason text)")
        connection.execute("insert into marts.currency values ('a', true, null), ('b', true, null)")
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


def test_what_is_not_current_is_never_shown_as_a_result(warehouse, capsys):
    with duckdb.connect(warehouse) as connection:
        connection.execute("delete from marts.currency")
        connection.execute(
            "insert into marts.currency values ('b', false, 'its data have changed'), ('c', false, null)"
        )
    assert decisions.rows(warehouse) == [
        ("a", "not current: marts.currency does not know this study: build it again"),
        ("b", "not current: its data have changed"),
        ("c", "not current: it has no card: build it again"),
    ]
    assert decisions.main(warehouse) == 0
    out = capsys.readouterr().out
    assert "not ship" not in out
    assert "1,794" not in out


def test_without_the_view_nothing_is_shown_and_that_is_said_once(warehouse, capsys):
    with duckdb.connect(warehouse) as connection:
        connection.execute("drop table marts.currency")
    assert decisions.main(warehouse) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("has no marts.currency") == 1
    assert "run `make build`" in err


def test_empty_marts_fail(warehouse):
    with duckdb.connect(warehouse) as connection:
        connection.execute("delete from marts.estimates")
    with pytest.raises(Problem, match=r"marts\.estimates of .* is empty"):
        decisions.rows(warehouse)


def test_absent_marts_fail(tmp_path):
    path = str(tmp_path / "empty.duckdb")
    duckdb.connect(path).close()
    with pytest.raises(Problem, match="the marts are not in"):
        decisions.rows(path)
    with pytest.raises(Problem, match="there is no warehouse at"):
        decisions.rows(str(tmp_path / "nowhere.duckdb"))


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (0.0, "0"), (0.123456, "0.1235"), (-999.94, "-999.9"), (1234.5, "1,234"), (-1e6, "-1,000,000")],
)
def test_shown(value, text):
    assert decisions.shown(value) == text


MARTS = """
    create schema marts;
    create table marts.estimates as select 's' as study, 'ols' as estimator, 'estimated' as status,
        cast(null as text) as status_reason, true as is_primary;
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder that dbt would take, with a warehouse of an earlier build."""
    monkeypatch.delenv("CQOX_WAREHOUSE", raising=False)
    monkeypatch.setenv("DBT_PROFILES_DIR", str(tmp_path))
    (tmp_path / "dbt_project.yml").write_text("profile: p\n")
    path = "{{ env_var('CQOX_WAREHOUSE', 'warehouse.duckdb') }}"
    (tmp_path / "profiles.yml").write_text(f'p: {{target: t, outputs: {{t: {{type: duckdb, path: "{path}"}}}}}}\n')
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        connection.execute("create table generation as select 1 as n")
    return tmp_path


def generation(project):
    with duckdb.connect(str(project / "warehouse.duckdb"), read_only=True) as connection:
        return connection.execute("select max(n) from generation").fetchone()[0]


@pytest.fixture
def builds(monkeypatch, project):
    """A build without dbt: its exit code and its steps, of which one has the code that is given."""

    def run_build(codes=None, nodes=(), during=lambda file: None, arguments=("--vars", "{}")):
        codes, asked = codes or {}, []

        def call(command, folder, environment, show, keep):
            os.fstat(keep)
            step = ("studies", "marts", "tests")[len(asked)]
            asked.append((command, dict(environment)))
            with duckdb.connect(environment["CQOX_WAREHOUSE"]) as connection:
                if step == "studies":
                    connection.execute("insert into generation values (2)")
                    connection.execute(MARTS)
            during(environment["CQOX_WAREHOUSE"])
            return Called(codes.get(step, 0), {n.unique_id: n for n in nodes} if step == "tests" else {})

        def python(self, title, module, *arguments):
            asked.append(([module, *arguments], {}))
            self._step(title, codes.get(title, 0), 0.0)
            return codes.get(title, 0)

        monkeypatch.setattr(build, "call", call)
        monkeypatch.setattr(build.Build, "_python", python)
        return build.main(["--project", str(project), *arguments]), asked

    return run_build


def leavings(project):
    return sorted(file.name for file in project.iterdir() if ".duckdb" in file.name)


def test_a_build_is_well_where_every_step_is(builds, project, capsys):
    code, asked = builds()
    assert (code, capsys.readouterr().err) == (0, "")
    assert generation(project) == 2
    by_dbt = asked[:3]
    assert all("--vars" in command for command, _ in by_dbt)
    # All calls of dbt are one build, in one file beside the warehouse and of its name: views name the catalogue by it.
    for name in ("CQOX_BUILD_ID", "CQOX_BUILD_STARTED_AT", "CQOX_WAREHOUSE"):
        assert len({how[name] for _, how in by_dbt}) == 1
    assert by_dbt[0][1]["CQOX_WAREHOUSE"] == str(project / ".warehouse.duckdb.building" / "warehouse.duckdb")
    assert [command[0] for command, _ in asked[3:]] == ["commands.decisions", "reports"]
    assert leavings(project) == [".warehouse.duckdb.lock", "warehouse.duckdb"]


def test_a_warehouse_in_memory_is_refused(builds, monkeypatch, capsys):
    monkeypatch.setenv("CQOX_WAREHOUSE", ":memory:")
    assert builds() == (1, [])
    assert "CQOX_WAREHOUSE names the warehouse ':memory:', which is no file" in capsys.readouterr().err


@pytest.mark.parametrize(("step", "code"), [("studies", 2), ("studies", -9), ("marts", 1), ("marts", 2)])
def test_marts_that_were_not_written_leave_the_last_build(builds, project, capsys, step, code):
    ended, asked = builds({step: code})
    assert ended == 1
    assert generation(project) == 1
    assert not any("commands.decisions" in command for command, _ in asked)
    assert f"{project / 'warehouse.duckdb'} stays as it was" in capsys.readouterr().err
    assert leavings(project) == [".warehouse.duckdb.lock", "warehouse.duckdb"]


@pytest.mark.parametrize("step", ["studies", "tests", "decisions", "report"])
def test_any_other_step_that_fails_is_told_beside_the_new_build(builds, project, capsys, step):
    code, asked = builds({step: 1})
    assert code == 1
    assert generation(project) == 2
    assert f"not all is well: {step}; the lines above" in capsys.readouterr().err
    # Only the report hangs on a step before it: without decisions there is nothing to show.
    assert len(asked) == (4 if step == "decisions" else 5)


def test_a_failed_test_is_told_in_words(builds, capsys):
    node = Node("test.p.leaf", "leaf", "test", "fail", "Got 1 result, configured to fail if != 0", 1, "model.p.units")
    assert builds({"tests": 1}, [node])[0] == 1
    err = capsys.readouterr().err
    assert "== failures: 1" in err
    assert "units" in err
    assert "Got 1 result" not in err


def test_readers_see_the_old_build_until_the_new_one_is_whole(builds, project):
    # from another process, as one process shares its handles
    look = (
        "import duckdb, sys; print(duckdb.connect(sys.argv[1], read_only=True).execute('from generation').fetchall())"
    )
    seen = []

    def read_elsewhere(file):
        command = [sys.executable, "-c", look, str(project / "warehouse.duckdb")]
        seen.append(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())

    assert builds(during=read_elsewhere)[0] == 0
    assert seen == ["[(1,)]"] * 3
    assert generation(project) == 2


def test_a_writer_is_refused_while_a_build_runs(builds, project):
    write = "import duckdb, sys; duckdb.connect(sys.argv[1])"
    refused = []

    def write_elsewhere(file):
        command = [sys.executable, "-c", write, str(project / "warehouse.duckdb")]
        refused.append("lock" in subprocess.run(command, capture_output=True, text=True, check=False).stderr)

    assert builds(during=write_elsewhere)[0] == 0
    assert refused == [True] * 3


def test_a_selection_is_for_the_studies_alone(builds):
    code, asked = builds(arguments=("--select", "+a_effects", "b", "--vars", "{}", "--exclude=c", "-s", "d"))
    assert code == 0
    (studies, _), (marts, how) = asked[:2]
    assert "+a_effects" in studies
    assert marts[1:] == ["run", "--vars", "{}", "--select", build.MARTS]
    # the others' rows are taken as they stand
    assert how["CQOX_BUILD_STARTED_AT"] == ""


def test_a_profile_with_a_path_of_its_own_is_built_in_place_and_says_so(builds, project, capsys):
    profile = (project / "profiles.yml").read_text()
    (project / "profiles.yml").write_text(
        profile.replace("{{ env_var('CQOX_WAREHOUSE', 'warehouse.duckdb') }}", "own.duckdb")
    )
    (project / "warehouse.duckdb").rename(project / "own.duckdb")

    called = []

    def call(command, folder, environment, show, keep):
        called.append(command)
        with duckdb.connect(str(project / "own.duckdb")) as connection:
            if len(called) == 1:
                connection.execute(MARTS)
        return Called()

    builds_patch = pytest.MonkeyPatch()
    with builds_patch.context() as patch:
        patch.setattr(build, "call", call)
        patch.setattr(build.Build, "_python", lambda *anything: 0)
        assert build.main(["--project", str(project)]) == 0
    assert f"{project / 'own.duckdb'} is built in place" in capsys.readouterr().out


def test_sigterm_ends_the_children_and_cleans_up(project, tmp_path):
    """The real command with a dbt that never ends."""
    waits = tmp_path / "bin" / "dbt"
    waits.parent.mkdir()
    waits.write_text(f"#!{sys.executable}\nimport time, os\nopen('pid', 'w').write(str(os.getpid()))\ntime.sleep(60)\n")
    waits.chmod(0o755)
    start = f"import sys; sys.executable = {str(waits.with_name('python'))!r}; from commands import build; "
    start += f"sys.exit(build.main(['--project', {str(project)!r}]))"
    for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        (project / "pid").unlink(missing_ok=True)
        run = subprocess.Popen([sys.executable, "-c", start], cwd=build.ROOT, stderr=subprocess.PIPE, text=True)
        until = time.monotonic() + 20
        while not ((project / "pid").exists() and (project / "pid").read_text()) and time.monotonic() < until:
            time.sleep(0.05)
        run.send_signal(number)
        err = run.communicate(timeout=20)[1]
        assert run.returncode == code
        assert f"stopped by {number.name}" in err
        assert "Traceback" not in err
        assert generation(project) == 1
        assert leavings(project) == [".warehouse.duckdb.lock", "warehouse.duckdb"]
        with pytest.raises(ProcessLookupError):
            os.kill(int((project / "pid").read_text()), 0)


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
