"""Learned nuisances and repeated splits: out of fold, fitted once, and a median."""

import numpy as np
import pyarrow as pa
import pytest
from support import observational, overall, problem, run, shuffled, simulated

from estimators import learned
from estimators.errors import Refusal, StudyError
from estimators.learned import Target, predict
from estimators.repeated import Splits, over_splits
from estimators.selection_on_observables import learners
from estimators.study import Study

LEARNERS = ["lasso", "boosting", "forest"]


def block(learner="linear", **more):
    return observational("y", "t", ["x1", "x2"], options={"ope": {"learner": learner}}, **more)


def go(data, estimand="ATE", **more):
    return overall(run(block(**more), data, "ope", estimand))


def bent(n=1200, seed=11):
    """Outcome and log-odds bend in x1, so that linear models are many standard errors off."""
    rng = np.random.default_rng(seed)
    x1, x2 = rng.uniform(-2, 2, n), rng.normal(size=n)
    t = (rng.random(n) < 1 / (1 + np.exp(1 - x1**2))).astype(float)
    return {"unit_id": np.arange(n), "x1": x1, "x2": x2, "t": t, "y": t + 2 * x1**2 + x2 + rng.normal(size=n)}


@pytest.fixture
def small_forests(monkeypatch):
    """A fifth of the trees, where it is not asked how well a forest predicts."""
    monkeypatch.setattr(learners, "TREES", learners.TREES // 5)
    monkeypatch.setattr(learners, "TRIAL_TREES", learners.TRIAL_TREES // 5)


@pytest.mark.usefixtures("small_forests")
@pytest.mark.parametrize("learner", LEARNERS)
def test_no_unit_is_predicted_by_its_own_fold(learner):
    """A fold's own outcomes and arms move nothing that is predicted for it."""
    data = simulated(300)
    p = problem(block(folds=2), data, "ope")
    inside = p.folds() == 1
    changed = data | {"y": np.where(inside, 50.0, data["y"]), "t": np.where(inside, 1 - data["t"], data["t"])}
    other = problem(block(folds=2), changed, "ope")
    for target in (Target("y"), Target("y", ("t", 1.0)), Target("t", is_chance=True)):
        a, b = (predict(one, target, ("x1", "x2"), learner).values for one in (p, other))
        np.testing.assert_array_equal(a[inside], b[inside])
        assert np.abs(a[~inside] - b[~inside]).max() > 0.01


@pytest.mark.parametrize("learner", [*LEARNERS, "linear"])
def test_chances_are_chances_and_near_the_truth(learner):
    data = simulated(2000)
    e = predict(problem(block(folds=3), data, "ope"), Target("t", is_chance=True), ("x1", "x2"), learner).values
    truth = 1 / (1 + np.exp(-0.5 * data["x1"] + 0.25 * data["x2"]))
    assert ((e >= 0) & (e <= 1)).all()
    # At least half of what varies is found, from zeros and ones of which it is a fifteenth.
    assert np.mean((e - truth) ** 2) < 0.5 * truth.var()


def test_linear_is_what_the_shared_nuisances_are():
    data = simulated()
    p = problem(block(), data, "ope")
    n = p.nuisances()
    got = learned.learned_nuisances(p)
    for ours, shared in zip(got, (n.propensity, n.mu0, n.mu1), strict=True):
        np.testing.assert_allclose(ours, shared, rtol=1e-10)


@pytest.mark.parametrize("learner", ["boosting", "forest", "best"])
def test_learners_see_what_is_not_linear(learner):
    data = bent()
    found, linear = go(data, learner=learner, repeats=1, folds=3), go(data)
    assert abs(found.estimate - 1) < 3 * found.std_error
    assert abs(linear.estimate - 1) > 5 * linear.std_error


@pytest.mark.usefixtures("small_forests")
@pytest.mark.parametrize("learner", LEARNERS)
@pytest.mark.parametrize("estimand", ["ATE", "ATT"])
def test_row_order_and_scale(learner, estimand):
    data, own = simulated(250), {"learner": learner, "repeats": 1, "folds": 2}
    row = go(data, estimand, **own)
    other = go(shuffled(pa.table(data)), estimand, **own)
    assert (row.estimate, row.std_error) == (other.estimate, other.std_error)
    big = go(data | {"y": 1024 * data["y"]}, estimand, **own)
    np.testing.assert_allclose([big.estimate, big.std_error], [1024 * row.estimate, 1024 * row.std_error], rtol=1e-6)


def test_nothing_is_fitted_twice(monkeypatch):
    fits = []
    fitted = learned._flexible
    monkeypatch.setattr(learned, "_flexible", lambda *a: fits.append(a[:2]) or fitted(*a))
    p = problem(block("boosting", repeats=2), simulated(300), "ope")
    from estimators.registry import BY_NAME

    for estimand in BY_NAME["ope"].estimands:
        BY_NAME["ope"].load()(p, estimand)
    # Three nuisances, five folds, two splits.
    assert len(fits) == 30


def test_best_takes_the_smallest_loss():
    p = problem(block(), bent(), "ope")
    found = predict(p, Target("y"), ("x1", "x2"), "best")
    assert found.learner == "boosting"
    assert set(found.losses) == {"linear", "lasso", "boosting"}
    again = predict(p, Target("y"), ("x1", "x2"), "boosting")
    assert found.values is again.values
    assert found.losses["boosting"] == pytest.approx(np.mean((p.y - again.values) ** 2))


def test_median_of_splits_by_hand():
    splits = Splits(np.array([[1.0], [2.0], [6.0]]), np.array([[1.0], [2.0], [1.0]]))
    assert splits.estimate.tolist() == [2.0]
    # s² + (θ − 2)²: 2, 4 and 17.
    assert splits.std_error.tolist() == [2.0]
    assert splits.spread == pytest.approx(np.std([1, 2, 6], ddof=1) / 2)
    assert Splits(np.ones((1, 1)), np.ones((1, 1))).diagnostics() == ()


def test_repeats_are_the_seeds_that_follow():
    data = simulated()
    alone = [go(data, seed=20260101 + r) for r in range(3)]
    together = go(data, repeats=3)
    middle = np.median([a.estimate for a in alone])
    assert together.estimate == pytest.approx(middle, rel=1e-12)
    squares = [a.std_error**2 + (a.estimate - middle) ** 2 for a in alone]
    assert together.std_error == pytest.approx(np.sqrt(np.median(squares)), rel=1e-12)
    assert go(data, repeats=1) == go(data)
    assert go(data, repeats=4, folds=1) == go(data, folds=1)


@pytest.mark.parametrize("estimator", ["ope", "tvce"])
def test_how_often_learned_nuisances_are_split(estimator):
    data = simulated(200)
    told = {
        learner: {d.metric: d.value for d in run(
            observational("y", "t", ["x1", "x2"], options={estimator: {"learner": learner}}, folds=2),
            data, estimator, "ATE",
        ).diagnostics if d.metric.startswith("split")}
        for learner in ("linear", "boosting")
    }  # fmt: skip
    assert told["linear"] == {}
    assert told["boosting"]["splits"] in (3.0, 5.0)
    assert told["boosting"]["split_spread"] > 0


def test_more_splits_where_they_lie_apart():
    p = problem(block(), simulated(50), "ope")
    near, far = (lambda r, s=s: (np.array([s * r]), np.array([1.0])) for s in (0.1, 1.0))
    assert over_splits(p, near, is_learned=True).number == 3
    assert over_splits(p, far, is_learned=True).number == 5
    assert over_splits(p, far, is_learned=False).number == 1
    asked = problem(block(repeats=4), simulated(50), "ope")
    assert over_splits(asked, far, is_learned=True).number == 4


def test_declared_folds_are_one_split():
    data = simulated() | {"f": np.arange(600) % 5}
    assert go(data, fold="f").estimate == go(data, fold="f", repeats=1).estimate
    with pytest.raises(Refusal, match="the declared fold 'f' is one split, and 3 are asked"):
        go(data, fold="f", repeats=3)


def test_refusals():
    data = simulated()
    for learner in (*LEARNERS, "best"):
        with pytest.raises(Refusal, match=f"the learner {'lasso' if learner == 'best' else learner} needs cross-fitt"):
            go(data, learner=learner, folds=1)
    with pytest.raises(Refusal, match="without declared interactions"):
        run({**block("lasso"), "options": {"ope": {"learner": "lasso"}, "outcome": {"interactions": ["x1"]}}},
            data, "ope", "ATE")  # fmt: skip
    few = data | {"t": (np.arange(600) % 60 == 3).astype(float)}
    with pytest.raises(Refusal, match=r"needs 20\. Use fewer folds, or learner: linear"):
        go(few, learner="boosting")


@pytest.mark.parametrize(("more", "said"), [
    ({"repeats": 0}, "repeats must be at least 1"), ({"repeats": 1.5}, "must be a whole number"),
    ({"specifications": {"s": {"estimators": ["ope"], "repeats": -1}}}, "specifications.s.repeats must be at least 1"),
])  # fmt: skip
def test_declared_repeats(more, said):
    with pytest.raises(StudyError, match=said):
        Study.declare("s", observational("y", "t", ["x1"], **more))


def test_repeats_of_a_specification():
    study = Study.declare(
        "s", observational("y", "t", ["x1"], specifications={"s": {"estimators": ["ope"], "repeats": 7}}, repeats=2)
    )
    assert [study.options_for("ope", name).repeats for name in ("default", "s")] == [2, 7]
