"""What a build tells of its failures: every one named once, with column or role, reason and mend."""

import json

import duckdb
import pytest

from commands import failures
from commands.dbt_call import Called, Node, last_words
from commands.failures import Failure

PYTHON_ERROR = """Runtime Error in model trial_scores (python_models/trial_scores.py)
  Python model failed:
  Traceback (most recent call last):
    File "/somewhere/dbt/adapters/duckdb/environments/__init__.py", line 286, in run_python_job
      df = module.model(dbt, con)
           ^^^^^^^^^^^^^^^^^^^^^^
    File "/somewhere/numpy/linalg/_linalg.py", line 144, in _raise_linalgerror_singular
      raise LinAlgError("Singular matrix")
  numpy.linalg.LinAlgError: Singular matrix
  """


def event(name, level="info", node=None, **data):
    """One line of dbt's JSON log."""
    about = {"node_info": node} if node else {}
    return json.dumps(
        {"info": {"name": name, "level": level, "msg": data.pop("msg_", name)}, "data": {**data, **about}}
    )


def node_info(status, kind="model", name="units"):
    return {
        "unique_id": f"{kind}.p.{name}", "node_name": name, "resource_type": kind, "node_status": status,
        "node_relation": {"relation_name": f'"w"."studies"."{name}"'},
    }  # fmt: skip


def test_events_become_lines_and_the_nodes_that_did_not_go_well():
    called = Called()
    assert called.hear(event("LogStartLine", node=node_info("started"))) is None
    assert called.hear(event("LogModelResult", node=node_info("success"), msg_="1 of 3 OK units")) == "1 of 3 OK units"
    called.hear(event("LogModelResult", "error", node_info("error", name="scores")))
    called.hear(event("RunResultError", "error", node_info("None", name="scores"), msg=PYTHON_ERROR))
    called.hear(event("SkippingDetails", node=node_info("skipped", name="effects")))
    called.hear(
        event("LogTestResult", "error", node_info("fail", "test", "leaf"), num_failures=2, attached_node="model.p.m")
    )
    called.hear(event("SQLCompiledPath", node=node_info("None", "test", "leaf"), path="target/leaf.sql"))
    called.hear(event("LogTestResult", "warn", node_info("warn", "test", "soft"), num_failures=9))
    assert [node.name for node in called.broken()] == ["scores", "leaf"]
    assert [node.name for node in called.stale()] == ["scores", "effects", "leaf"]
    scores, leaf = called.broken()
    assert scores.message.endswith(
        "(python_models/trial_scores.py) Python model failed: numpy.linalg.LinAlgError: Singular matrix"
    )
    assert (leaf.failures, leaf.attached, leaf.compiled) == (2, "model.p.m", "target/leaf.sql")


def test_what_is_no_event_is_kept_for_a_crash():
    called = Called()
    for line in ("Fatal Python error", "{}", '{"info": 1}', "7"):
        assert called.hear(line) is None
    assert called.other_lines[0] == "Fatal Python error"


def test_errors_of_the_project_come_without_stack_and_warnings_are_counted_by_kind():
    called = Called()
    called.hear(
        event(
            "MainEncounteredError",
            "error",
            msg_="Encountered an error:\nCompilation Error in m\n  no such ref\n\n  > in macro x",
        )
    )
    called.hear(event("MainStackTrace", "error", msg_="Traceback (most recent call last): …"))
    for _ in range(3):
        called.hear(event("NoNodesForSelectionCriteria", "warn", msg_="The selection criterion 'x' does not match"))
    called.hear(event("PackageNodeDependsOnRootProjectNode", "warn"))
    assert called.errors == ["Compilation Error in m no such ref"]
    assert {name: len(said) for name, said in called.warned.items()} == {"NoNodesForSelectionCriteria": 3}


def test_last_words_leave_out_frames_and_the_picture_of_the_line():
    assert last_words(PYTHON_ERROR).endswith("Python model failed: numpy.linalg.LinAlgError: Singular matrix")
    assert (
        last_words('Runtime Error\n  IO Error: No files "x"\n  \n  LINE 9:   select\n      ^')
        == 'Runtime Error IO Error: No files "x"'
    )
    assert last_words("ValueError: one\n    two") == "ValueError: one two"


@pytest.fixture
def marts():
    with duckdb.connect() as connection:
        connection.execute("""
            create schema marts;
            create table marts.gates (study text, gate text, subject text, is_passing boolean, severity text,
                reason text, remedy text);
            create table marts.estimates (study text, estimator text, status text, status_reason text,
                is_primary boolean);
            insert into marts.estimates values ('good', 'ols', 'estimated', null, true);
        """)
        yield connection


def test_a_good_warehouse_has_no_failures(marts):
    marts.execute("insert into marts.gates values ('good', 'overlap', 'all', true, 'error', null, null)")
    assert failures.of_marts(marts) == []
    assert failures.refusals(marts) == []


def test_broken_contract_has_its_column_and_the_mend_of_its_estimates(marts):
    marts.execute("""
        insert into marts.gates values
            ('a', 'contract', 'income', false, 'error', 'column income is not there', 'Mend the units'),
            ('a', 'contract', 'spend', null, null, 'spend was not judged', 'Mend the units');
        insert into marts.estimates values ('a', 'ols', 'refused', 'study a: no income. Add it to the units.', true);
    """)
    assert failures.of_marts(marts) == [
        Failure("a", "income", "column income is not there", "Add it to the units"),
        Failure("a", "spend", "spend was not judged", "Add it to the units"),
    ]
    assert failures.refusals(marts) == [], "a contract that is broken is no refusal"


def test_failed_rows_are_told_once_a_reason(marts):
    marts.execute("""
        insert into marts.estimates values
            ('b', 'ipw', 'failed', 'study b: unknown role ''x''. Did you mean ''y''?', true),
            ('b', 'ope', 'failed', 'study b: unknown role ''x''. Did you mean ''y''?', false),
            ('c', 'none', 'failed', 'not built: model.p.stg: no file; it reads c.csv. Mend it and build again', true);
        insert into marts.gates values ('c', 'build', 'gates', false, 'error', 'not judged', 'Mend the file');
    """)
    b, c = failures.of_marts(marts)
    assert (b.study, sorted(b.subject.split(", ")), b.mend) == ("b", ["ipw", "ope"], "Did you mean 'y'?")
    assert (c.study, c.subject, c.mend) == ("c", "effects", "Mend it and build again")
    assert "it reads c.csv" in c.reason


def test_curves_and_cards_that_are_not_current_are_told_where_the_marts_have_them(marts):
    marts.execute("""
        create table marts.curves (study text, curve text, status text, status_reason text);
        insert into marts.curves values ('good', 'density', 'failed', 'out of range'), ('good', 'path', 'drawn', null);
        create view marts.currency as select 'good' as study, false as is_current, 'its data have changed' as reason
    """)
    assert failures.of_marts(marts) == [Failure("good", "curve density", "out of range", failures.LOG)]
    marts.execute("delete from marts.curves")
    (card,) = failures.of_marts(marts)
    assert (card.study, card.subject, card.reason) == ("good", "card", "not current: its data have changed")
    assert "dbt build --select +good_effects" in card.mend


def test_refusals_of_the_gates_are_counted_apart(marts):
    marts.execute("""
        insert into marts.estimates values ('cps', 'ipw', 'refused', 'the gates refuse', true);
        insert into marts.gates values ('cps', 'balance', 'age', false, 'warn', 'unbalanced', null)
    """)
    assert failures.of_marts(marts) == []
    assert failures.refusals(marts) == ["cps"]


@pytest.mark.parametrize(
    ("test", "column", "count", "words"),
    [
        ({"name": "not_null"}, "age", 3, "3 rows have no value in 'age'"),
        ({"name": "unique"}, "id", 1, "1 value of 'id' stand in more than one row"),
        ({"name": "accepted_values", "kwargs": {"values": ["a", "b"]}}, "arm", 2, "none of a, b"),
        ({"name": "relationships", "kwargs": {"to": "ref('x')", "field": "id"}}, "x_id", 2, "not in ref('x'), 'id'"),
        ({"name": "unique_combination", "kwargs": {"columns": ["a", "b"]}}, "", 2, "combinations of a, b"),
        ({"name": "not_empty"}, "", 1, "the table has no rows"),
        ({"name": "in_range", "kwargs": {"least": 0, "most": 1}}, "p", 2, "outside 0 to 1"),
    ],
)  # fmt: skip
def test_generic_tests_are_told_by_model_column_and_meaning(tmp_path, test, column, count, words):
    node = Node(
        "test.p.t", "t", "test", "fail", f"Got {count} results, configured to fail if != 0", count, "model.p.units"
    )
    manifest = {"nodes": {"test.p.t": {"column_name": column or None, "test_metadata": test}}}
    (told,) = failures.of_dbt([node], [], manifest, None, tmp_path, tmp_path / "w.duckdb")
    assert (told.study, told.subject) == ("units", column or "units")
    assert words in told.reason
    assert "Got" not in told.reason


def test_a_singular_test_is_told_by_its_comment_and_the_studies_it_finds(tmp_path, marts):
    (tmp_path / "t.sql").write_text("select study from marts.estimates")
    node = Node("test.p.t", "t", "test", "fail", "Got 1 result", 1, compiled="t.sql")
    manifest = {"nodes": {"test.p.t": {"raw_code": "-- No A/A study ships.\n-- depends_on: x\nselect 1"}}}
    (told,) = failures.of_dbt([node], [], manifest, marts, tmp_path, tmp_path / "w.duckdb")
    assert told == Failure("good", "t", "this does not hold: No A/A study ships (1 row; test t)", "its rows: t.sql")
    # without a manifest its name stands
    (bare,) = failures.of_dbt([node], [], {}, None, tmp_path, tmp_path / "w.duckdb")
    assert (bare.study, bare.reason) == ("t", "test t fails (1 row; test t)")


def test_models_are_told_by_file_unless_the_marts_tell_them(tmp_path):
    node = Node(
        "model.p.stg", "stg", "model", "error", 'Runtime Error in model stg (models/stg.sql) IO Error: No files "x"'
    )
    (told,) = failures.of_dbt([node], [], {}, None, tmp_path, tmp_path / "w.duckdb")
    assert told == Failure("stg", "model", 'IO Error: No files "x"', "mend models/stg.sql or what it reads")
    by_marts = [Failure("c", "", "the study was not built: model.p.stg: no file", "Mend it")]
    leaf = Node("test.cqox.x", "estimates_without_failures", "test", "fail", "Got 1 result", 1)
    assert failures.of_dbt([node, leaf], by_marts, {}, None, tmp_path, tmp_path / "w.duckdb") == []


def test_a_full_disk_is_one_failure_however_many_models_it_stops(tmp_path):
    message = "Runtime Error in model m (m.sql) IO Error: Could not write file: No space left on device"
    nodes = [Node(f"model.p.m{i}", f"m{i}", "model", "error", message) for i in range(30)]
    (told,) = failures.of_dbt(nodes, [], {}, None, tmp_path, tmp_path / "w.duckdb")
    assert told.subject == "the file"
    assert "the disk is full" in told.reason
    assert str(tmp_path / "w.duckdb") in told.reason + told.mend


def test_a_manifest_that_was_cut_short_is_none(tmp_path):
    assert failures.manifest_of(tmp_path) == {}
    (tmp_path / "manifest.json").write_text('{"nodes": {')
    assert failures.manifest_of(tmp_path) == {}


def test_lines_are_whole_sentences():
    assert failures.lines([Failure("a", "income", "is not there", "Add it")]) == [
        "a  income",
        "    is not there",
        "    mend: Add it",
    ]
