"""Double machine learning with trained learners on a stream: the declared sample, cross-fitting, the same numbers."""

import dataclasses
import hashlib

import duckdb
import numpy as np
import pyarrow as pa
import pytest
import support
from scan_support import rows
from streamed_support import same_parts

from estimators.assemble import assemble
from estimators.result import clean
from estimators.scan.stream import blocks
from estimators.selection_on_observables.tvce import tvce as in_memory
from estimators.streamed.learned import lasso_forms
from estimators.streamed.training import sampled, training_sample
from estimators.streamed.tvce import tvce
from estimators.study import Study

N = 1_500
X = ["x1", "x2", "x3"]


def data(n=N, **changed):
    made = rows(n)
    made["y"] = 1e6 + made["y"] + 2 * np.abs(made["x1"])  # boosting sees what least squares does not
    return {**made, **changed}


def streamed(learner, given, budget, **more):
    """A streamed problem with a budget of its own, which may hold every row."""
    block = support.observational("y", "t", X, unit="unit_id", options={"tvce": {"learner": learner}}, **more)
    problem, _ = assemble(Study.declare("s", {**block, "row_budget": 10}), given)
    study = dataclasses.replace(problem.study, row_budget=budget)
    return dataclasses.replace(problem, study=study).for_run("tvce", "default")


def assert_same(ours, theirs, tolerance=1e-9):
    (row,), (expected,) = ours.estimates, theirs.estimates
    same_parts([clean(expected)], [clean(row)], tolerance, "row")
    told = [clean(d) for d in ours.diagnostics if d.metric != "training_rows"]
    same_parts([clean(d) for d in theirs.diagnostics], told, tolerance, "diagnostics")


@pytest.mark.parametrize(
    ("learner", "roles"),
    [("lasso", {}), ("lasso", {"weight": "w", "cluster": "g"}), ("boosting", {"weight": "w"}),
     ("boosting", {"cluster": "g"}), ("best", {"weight": "w", "cluster": "g"})],
    ids=str,
)  # fmt: skip
def test_a_sample_of_all_rows_gives_the_rows_in_memory(learner, roles):
    given = pa.table(data(500))
    problem = streamed(learner, given, 500, **roles)
    got = tvce(problem, "ATE")
    # A stream splits once.
    block = support.observational(
        "y", "t", X, unit="unit_id", options={"tvce": {"learner": learner}}, repeats=1, **roles
    )  # fmt: skip
    assert_same(got, in_memory(support.problem(block, given, "tvce"), "ATE"))
    assert [d.value for d in got.diagnostics if d.metric == "training_rows"] == [500.0]


def chosen(budget, seed=20260101, n=N):
    """The sample by hand."""
    hashed = [int(hashlib.md5(f"{i}:{seed + 1}".encode()).hexdigest()[:8], 16) for i in range(n)]
    return np.sort(np.argsort(hashed, kind="stable")[:budget])


@pytest.mark.parametrize("budget", [60, 300])
def test_the_sample_is_that_of_the_hashes_whatever_the_order(budget):
    given = data()
    for table in (pa.table(given), support.shuffled(pa.table(given))):
        problem = streamed("lasso", table, budget)
        sample = training_sample(problem, problem.columns(("x1", "t")))
        np.testing.assert_array_equal(sample.x[:, 0], given["x1"][chosen(budget)])
        assert len(set(sample.fold.tolist())) == 5


def test_a_sample_predicts_every_row():
    """By hand: learners of the sample's rows outside a fold, θ and its standard error from all rows."""
    from threadpoolctl import threadpool_limits

    from estimators.selection_on_observables.learners import stopped_boosting

    given, budget = data(), 400
    problem = streamed("boosting", pa.table(given), budget, weight="w")
    got = tvce(problem, "ATE")
    x = np.column_stack([given[name] for name in X])
    fold = support.problem(
        support.observational("y", "t", X, unit="unit_id"), pa.table(given), "tvce"
    ).folds()  # fmt: skip
    inside, left = np.isin(np.arange(N), chosen(budget)), np.empty((2, N))
    with threadpool_limits(1):
        for k in range(5):
            train, held = inside & (fold != k), fold == k
            for row, name in zip(left, ("y", "t"), strict=True):
                model = stopped_boosting(x[train], given[name][train], given["w"][train], 20260101)
                row[held] = given[name][held] - model(x[held])
    u, v, w = *left, given["w"]
    theta = np.sum(w * v * u) / np.sum(w * v**2)
    std_error = np.sqrt(np.sum((w * v * (u - theta * v)) ** 2) * N / (N - 1)) / np.sum(w * v**2)
    (row,) = got.estimates
    assert row.estimate == pytest.approx(theta, rel=1e-9)
    assert row.std_error == pytest.approx(std_error, rel=1e-9)
    assert [d.value for d in got.diagnostics if d.metric == "training_rows"] == [400.0]


def test_a_folds_learner_never_sees_its_fold():
    given, budget = data(), 500
    first = streamed("lasso", pa.table(given), budget)
    forms = lasso_forms(first, first.by_fold())
    sample = training_sample(first, first.columns(("y",)))
    held = np.zeros(N, dtype=bool)
    held[chosen(budget)[sample.fold == 2]] = True
    other = streamed("lasso", pa.table({**given, "y": given["y"] + np.where(held, 50.0, 0.0)}), budget)
    moved = lasso_forms(other, other.by_fold())
    # The shift and scale of the first block have moved with the outcome, so predictions are compared in its own unit.
    y = first.by_fold().names.index("y")

    def predicted(forms, problem, k):
        moments = problem.by_fold()
        return -forms.u[k, 0] * moments.scale[y] + moments.shift[y]

    assert predicted(moved, other, 2) == pytest.approx(predicted(forms, first, 2), rel=1e-12)
    assert abs(predicted(moved, other, 1) - predicted(forms, first, 1)) > 1.0


def test_neither_threads_nor_the_order_of_rows_matter():
    given = pa.table(data(40_000))
    found = []
    for threads, order in ((1, "unit_id"), (4, "unit_id"), (2, "hash(unit_id)")):
        connection = duckdb.connect(config={"threads": threads})
        connection.register("given", given)
        connection.execute(f"create table units as select * from given order by {order}")
        block = support.observational("y", "t", X, unit="unit_id", cluster="g", row_budget=100,
                                      options={"tvce": {"learner": "boosting"}})  # fmt: skip
        problem, _ = assemble(Study.declare("s", block), connection.table("units"), connection)
        (row,) = tvce(problem.for_run("tvce", "default"), "ATE").estimates
        found.append((row.estimate, row.std_error))
    assert found[1] == pytest.approx(found[0], rel=1e-10)
    assert found[2] == pytest.approx(found[0], rel=1e-10)


def test_the_sample_keeps_to_the_complete_rows_and_its_size():
    y = data()["y"]
    given = pa.table(data()).drop_columns("y").append_column("y", pa.array(y, mask=np.arange(N) % 3 == 0))
    problem = streamed("lasso", given, 200, missing="drop")
    plan = dataclasses.replace(problem.plan(problem.columns(("y",))), cluster=None)
    assert sum(block.n for block in blocks(sampled(problem), plan)) == 200


def test_refusals():
    from estimators.errors import Refusal

    with pytest.raises(Refusal, match=r"the learner forest of tvce is not streamed\. Raise row_budget"):
        tvce(streamed("forest", pa.table(data()), 200), "ATE")
    with pytest.raises(Refusal, match=r"repeats: 3 is not streamed\. Raise row_budget"):
        tvce(streamed("linear", pa.table(data()), 200, repeats=3), "ATE")
    for learner in ("lasso", "boosting", "best"):
        problem = streamed(learner, pa.table(data()), 200, folds=1)
        with pytest.raises(Refusal, match=f"the learner {learner} needs cross-fitting"):
            tvce(problem, "ATE")
        with pytest.raises(Refusal, match="rows of the training sample lie outside fold 0 and 10 are needed"):
            tvce(streamed(learner, pa.table(data()), 8), "ATE")
