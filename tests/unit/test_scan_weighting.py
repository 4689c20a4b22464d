"""Logit, IPW, AIPW, strata and scores by scans: equal to the in-memory estimators on the same rows."""

import duckdb
import numpy as np
import pyarrow as pa
import pytest
import support
from scan_support import SEED, X, centred, fold_sql, rows, source

from estimators.errors import Refusal
from estimators.nuisance import fit_binary
from estimators.scan import columns, logistic, moments_scan, weighting
from estimators.scan.strata import Watch
from estimators.scan.stream import Plan
from estimators.scan.writer import Table
from estimators.scores import score_table
from estimators.selection_on_observables.ipw import ipw
from estimators.selection_on_observables.ope import ope
from estimators.selection_on_observables.stratification import stratification


def problem(data, estimator="ipw", **more):
    block = support.observational("y", "t", list(X), unit="unit_id", seed=SEED, **more)
    return support.problem(block, pa.table(centred(data)), estimator)


def fitted(data, weight=None, n_folds=5, fold_by="unit_id", terms=X, watch=None, threads=2):
    """All that comes before the last scan."""
    own = source(data, duckdb.connect(config={"threads": threads}))
    y, t, *x = columns.columns(own, ("y", "t", *terms))
    fold = fold_sql(fold_by, n_folds)
    read = Plan((*x, y), weight, f"{fold} * 2 + t::utinyint", 2 * n_folds)
    found = moments_scan.scan(own, read)
    arms = tuple(found.moments.only(*range(a, 2 * n_folds, 2)) for a in (0, 1))
    treated = np.column_stack([arm.cross[:, 0, 0] for arm in arms])
    cluster = columns.cluster_key("g", "BIGINT") if fold_by == "g" else None
    plan = Plan(tuple(x), weight, fold if n_folds > 1 else None, n_folds, cluster, ("unit_id",))
    logit = logistic.fit(found.source, t, plan, found.moments, treated, watch)
    return found, y, t, plan, logit, arms


def weighed(data, table=None, clip=0.01, trim=0.0, **more):
    watch = Watch(5)
    found, y, t, plan, logit, arms = fitted(data, watch=watch, **more)
    strata = {estimand: watch.strata(estimand) for estimand in ("ATE", "ATT")}
    keys = columns.cluster_keys(found.source, "g", "BIGINT") if plan.cluster else None
    nuisances = weighting.Nuisances.of(logit, arms, "y", plan.names)
    return weighting.weigh(
        found.source, y, t, plan, found.moments, nuisances,
        clip=clip, trim=trim, strata=strata, clusters=keys, table=table,
    )  # fmt: skip


@pytest.mark.parametrize("weight", [None, "w"])
def test_the_logit_is_at_the_optimum_of_the_full_fit(weight):
    data = rows()
    *_, logit, _ = fitted(data, weight)
    x = np.column_stack([data[name] for name in X]).astype(float)
    w = data["w"] if weight else None
    full = fit_binary(data["t"], x, X, weights=w)
    np.testing.assert_allclose(logit.coef[0], full.coef, rtol=1e-10)
    folds = problem(data).folds()
    for k in range(5):
        train = folds != k
        part = fit_binary(data["t"][train], x[train], X, weights=None if w is None else w[train])
        np.testing.assert_allclose(logit.coef[k + 1], part.coef, rtol=1e-10)


def test_many_rows_start_from_a_sub_sample(monkeypatch):
    data = rows(20_000)
    whole = fitted(data)[4]
    monkeypatch.setattr(logistic, "SAMPLE", 2_000)
    started = fitted(data)[4]
    np.testing.assert_allclose(started.coef, whole.coef, rtol=1e-11)
    assert started.scans <= 6


def test_dropped_covariates():
    data = rows()
    data["flat"], data["twice"] = np.full(6_000, 3.0), 2 * data["x1"]
    logit = fitted(data, terms=(*X, "flat", "twice"))[4]
    assert logit.dropped == ("flat", "twice")
    np.testing.assert_allclose(logit.coef, fitted(data)[4].coef, rtol=1e-10)


@pytest.mark.parametrize("kind", ["wholly", "one level"])
def test_separation_is_refused(kind):
    data = rows(3_000)
    if kind == "wholly":
        data["t"] = (data["x1"] > 0).astype(float)
    else:
        data["x3"] = np.where(data["t"] == 1, (np.arange(3_000) % 7 == 0).astype(float), 0.0)
    with pytest.raises(Refusal, match="predict the treatment perfectly"):
        fitted(data)


def test_an_empty_arm_is_refused():
    data = rows(500)
    data["t"] = np.zeros(500)
    with pytest.raises(Refusal, match="an arm has no units"):
        fitted(data)


@pytest.mark.parametrize("weight", [None, "w"])
@pytest.mark.parametrize("fold_by", ["unit_id", "g"])
@pytest.mark.parametrize("n_folds", [5, 1])
def test_estimates_and_standard_errors(weight, fold_by, n_folds):
    data = rows()
    more = {"weight": "w"} if weight else {}
    more |= {"cluster": "g"} if fold_by == "g" else {}
    held = problem(data, options={"folds": n_folds, "ope": {"clip": 0.01}}, **more)
    got = weighed(data, weight=weight, fold_by=fold_by, n_folds=n_folds)
    for estimand in ("ATE", "ATT", "ATO"):
        row, ours = ipw(held, estimand).estimates[0], got.ipw[estimand]
        assert ours.estimate == pytest.approx(row.estimate, rel=1e-9)
        assert ours.std_error == pytest.approx(row.std_error, rel=1e-9)
        assert ours.effective_sample_sizes[0] == pytest.approx(row.effective_sample_size, rel=1e-9)
    for estimand in ("ATE", "ATT"):
        row = ope(held.for_run("ope", "default"), estimand).estimates[0]
        assert got.aipw[estimand].estimate == pytest.approx(row.estimate, rel=1e-9)
        assert got.aipw[estimand].std_error == pytest.approx(row.std_error, rel=1e-9)
    assert (got.n, got.n_treated) == (6_000, int(data["t"].sum()))


def test_trimming():
    data = rows()
    row = ipw(problem(data, options={"ipw": {"trim": 0.1}}), "ATE").estimates[0]
    got = weighed(data, trim=0.1)
    assert got.ipw["ATE"].estimate == pytest.approx(row.estimate, rel=1e-9)
    assert got.ipw["ATE"].std_error == pytest.approx(row.std_error, rel=1e-9)
    assert got.n_trimmed == row.n_trimmed > 0


@pytest.mark.parametrize("estimand", ["ATE", "ATT"])
def test_stratification(estimand):
    data = rows()
    row = stratification(problem(data, "stratification"), estimand).estimates[0]
    got = weighed(data).stratification[estimand]
    assert got.estimate == pytest.approx(row.estimate, rel=1e-9)
    assert got.std_error == pytest.approx(row.std_error, rel=1e-9)


def test_the_scores_table():
    data = rows()
    connection = duckdb.connect()
    weighed(data, Table(connection, "scores"))
    ours = connection.execute("select * from scores order by unit_id").to_arrow_table()
    theirs = score_table(problem(data, options={"ope": {"clip": 0.01}}))
    assert ours.num_rows == theirs.num_rows
    missing = set(theirs.column_names) - set(ours.column_names)
    assert missing == {"study", "spec_hash", "data_hash", "weight_psm_ate", "weight_psm_att"}
    for name in ours.column_names:
        a, b = (np.array(table.column(name).to_pylist(), dtype=float) for table in (ours, theirs))
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-9, err_msg=name)


def test_a_refusal_inside_the_scan_reaches_the_caller_and_leaves_the_table():
    data = rows()
    connection = duckdb.connect()
    table = Table(connection, "scores")
    weighed(data, table)

    def broken():
        yield [pa.array([1, 2])], {"a": np.array([1.0, np.nan])}
        raise Refusal("stop", "now")

    with pytest.raises(Refusal, match="stop"):
        table.write(broken())
    assert connection.execute("select count(*) from scores").fetchone() == (6_000,)


def test_nan_is_null_and_flags_are_flags():
    connection = duckdb.connect()
    values = {"a": np.array([1.0, np.nan, 3.0]), "b": np.array([True, False, True])}
    Table(connection, "t").write([([pa.array(["x", "y", "z"])], values)])
    assert connection.execute("select * from t").fetchall() == [("x", 1.0, True), ("y", None, False), ("z", 3.0, True)]


def test_order_and_threads_do_not_matter():
    data = rows(40_000)
    mixed = np.random.default_rng(3).permutation(40_000)
    one = weighed(data, threads=1)
    two = weighed({name: v[mixed] for name, v in data.items()}, threads=4)
    for estimand in ("ATE", "ATT", "ATO"):
        assert one.ipw[estimand].estimate == pytest.approx(two.ipw[estimand].estimate, rel=1e-10)
        assert one.ipw[estimand].std_error == pytest.approx(two.ipw[estimand].std_error, rel=1e-10)
    assert one.aipw["ATE"].estimate == pytest.approx(two.aipw["ATE"].estimate, rel=1e-10)
    assert one.stratification["ATT"].estimate == pytest.approx(two.stratification["ATT"].estimate, rel=1e-10)


def shown(watch, e, t, near=None):
    for look, values in ((watch.near, e if near is None else near), (watch.final, e)):
        for part in np.array_split(np.arange(len(e)), 7):
            look(values[part], t[part])
    return watch


@pytest.mark.parametrize("distinct", [None, 3, 40])
@pytest.mark.parametrize("number", [1, 2, 5, 9])
def test_quantiles_of_a_stream_are_exact(number, distinct, monkeypatch):
    import estimators.scan.strata as module

    monkeypatch.setattr(module, "TOO_MANY", 50)
    rng = np.random.default_rng(number)
    e = rng.beta(2, 3, 4_001) if distinct is None else rng.integers(1, distinct + 1, 4_001) / (distinct + 1)
    t = (rng.random(4_001) < e).astype(float)
    watch = shown(Watch(number), e, t, e + 1e-6)
    for estimand, among in (("ATE", e), ("ATT", e[t == 1])):
        inner = np.quantile(among, np.arange(1, number) / number)
        expected = np.unique(np.searchsorted(inner, e + 1e-10, side="right"), return_inverse=True)[1]
        strata = watch.strata(estimand)
        np.testing.assert_array_equal(strata.place(e), expected)
        units = [[np.sum((expected == s) & (t == a)) for a in (0, 1)] for s in range(expected.max() + 1)]
        np.testing.assert_array_equal(strata.units, units)


def test_passes_that_differ_are_seen():
    rng = np.random.default_rng(0)
    e, t = rng.random(1_000), np.arange(1_000) % 2.0
    assert shown(Watch(5), e, t, np.clip(e + 0.05, 0, 1)).strata("ATE") is None


def test_poor_strata_are_refused():
    data = rows(400)
    data["t"] = (np.arange(400) < 6).astype(float)
    with pytest.raises(Refusal, match="no variance within a stratum"):
        weighed(data, n_folds=1, terms=("x1",))
    with pytest.raises(Refusal, match="strata must be at least 1"):
        Watch(0)
