"""ipw, ope and stratification streamed: the rows, diagnostics and refusals of the in-memory estimators."""

import duckdb
import numpy as np
import pyarrow as pa
import pytest
import scan_support
import streamed_support
import support

from estimators import Study, build, estimate
from estimators.assemble import assemble
from estimators.registry import BY_NAME, ESTIMATORS
from estimators.scan import likelihood, moments_scan, subsample, weighting
from estimators.streamed import forms

FAMILY = ("ipw", "ope", "stratification")
N = 2_400


@pytest.fixture(autouse=True)
def only_the_family(monkeypatch):
    monkeypatch.setattr(build, "ESTIMATORS", tuple(e for e in ESTIMATORS if e.name in FAMILY))


def data(n=N, **more):
    out = scan_support.centred(scan_support.rows(n))
    out["c"] = np.array(["a", "b", "c", "d"])[np.random.default_rng(5).integers(0, 4, n)]
    return {**out, **more}


def block(x=scan_support.X, **more):
    return support.observational("y", "t", list(x), unit="unit_id", **more)


def same(units, declared):
    """Rows of all three, checked against memory, reasons word for word; each path runs once."""
    found, rows = {}, []

    def once(name, given, units):
        if given["row_budget"] not in found:
            found[given["row_budget"]] = estimate(name, given, units)
        return found[given["row_budget"]]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streamed_support, "estimate", once)
        for name in FAMILY:
            rows += streamed_support.same(declared, units, name, alongside=FAMILY)
            for memory, streamed in streamed_support.both(declared, units, name, FAMILY):
                assert memory["status_reason"] == streamed["status_reason"]
    return {(row["estimator"], row["specification"], row["estimand"]): row for row in rows}


def statuses(rows):
    return {key[0]: row["status"] for key, row in rows.items()}


OPTIONS = {
    "one fold": {"folds": 1},
    "probit": {"propensity": {"link": "probit"}},
    "trim and clip": {"ipw": {"variance": "fixed_weights", "trim": 0.1}, "ope": {"clip": 0.2}},
    "regression in strata": {"stratification": {"adjustment": "regression", "strata": 4}},
    "no interactions": {"outcome": {"interactions": "none"}},
    "some interactions": {"outcome": {"interactions": ["x1", "x3"]}},
    "other covariates": {"propensity": {"covariates": ["x1", "x2"]}, "outcome": {"covariates": ["x3", "x1^2"]}},
    "many strata": {"stratification": {"strata": 20}},
    "shares taken as given": {"stratification": {"variance": "within_stratum"}},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_options(options):
    assert set(statuses(same(data(), block(options=options))).values()) == {"estimated"}


@pytest.mark.parametrize("options", [{}, OPTIONS["trim and clip"], OPTIONS["regression in strata"]])
def test_clusters(options):
    rows = same(data(), block(cluster="g", options=options))
    assert {row["variance_estimator"] for row in rows.values()} == {"cluster"}
    assert rows["ipw", "default", "ATE"]["n_clusters"] == 60


def test_trimming_counts_the_clusters_that_are_kept():
    units = data()
    units["x1"][units["g"] < 7] += 9.0
    units["t"][units["g"] < 7] = 1.0
    rows = same(units, block(cluster="g", options={"ipw": {"trim": 0.05}}))
    assert rows["ipw", "default", "ATE"]["n_clusters"] == 53


@pytest.mark.parametrize("more", [{}, {"cluster": "g"}, {"options": OPTIONS["probit"]}])
def test_weights(more):
    rows = same(data(), block(weight="w", **more))
    assert statuses(rows) == {"ipw": "estimated", "ope": "estimated", "stratification": "refused"}


def test_missing_values_terms_and_collinear_columns():
    units = data(flat=np.full(N, 3.0))
    units["twice"] = 2 * units["x1"]
    units["x1"][::17], units["y"][::31] = np.nan, np.nan
    terms = (*scan_support.X, "C(c)", "x1^2", "x1:x3", "flat", "twice")
    rows = same(units, block(x=terms, missing="drop"))
    assert set(statuses(rows).values()) == {"estimated"}
    assert rows["ope", "default", "ATE"]["n_units"] < N


@pytest.mark.parametrize("options", [{}, OPTIONS["probit"], {"outcome": {"interactions": ["x2"]}}])
def test_a_covariate_of_mean_1e9(options):
    same({**data(), "x2": scan_support.rows(N)["x2"]}, block(options=options))


def test_discrete_covariates_whose_propensities_tie():
    rng = np.random.default_rng(1)
    units = data(x1=rng.integers(0, 2, N) * 1.0, x2=rng.integers(0, 3, N) * 1.0)
    units["t"] = (rng.random(N) < 0.3 + 0.2 * units["x1"]).astype(float)
    same(units, block(x=("x1", "x2")))


def test_a_column_that_is_constant_outside_a_fold():
    mark = (np.arange(N) % 400 < 3).astype(float)
    same(data(mark=mark, f=np.where(mark == 1, 0, np.arange(N) % 3)), block(x=("x1", "mark"), fold="f", folds=3))


def test_specifications():
    declared = block(
        options={"ipw": {"trim": 0.15}},
        specifications={
            "trimmed": {"estimators": ["ipw"], "ipw": {"trim": 0.3}},
            "two folds": {"estimators": ["ope", "stratification"], "folds": 2, "propensity": {"link": "probit"}},
        },
    )
    rows = same(data(), declared)
    assert rows["ipw", "trimmed", "ATE"]["n_trimmed"] > rows["ipw", "default", "ATE"]["n_trimmed"] > 0


SEPARATED = np.where(data()["t"] == 1, (np.arange(N) % 7 == 0).astype(float), 0.0)
REFUSED = {
    "separated": ({"x3": SEPARATED}, {}, {"ipw", "ope", "stratification"}),
    "an arm without weight": ({"w": 1.0 - data()["t"]}, {"weight": "w"}, {"ipw", "ope", "stratification"}),
    "a negative weight": ({"w": np.arange(N) - 1.0}, {"weight": "w"}, {"ipw", "ope", "stratification"}),
    "one cluster": ({"g": np.ones(N)}, {"cluster": "g"}, {"ipw", "ope", "stratification"}),
    "a flat outcome": ({"y": np.full(N, 2.5)}, {}, {"ipw", "ope", "stratification"}),
    "few treated": ({"t": (np.arange(N) < 6).astype(float)}, {}, {"ope", "stratification"}),
    "a fold is an arm": ({"f": data()["t"]}, {"fold": "f", "folds": 2}, {"ope"}),
    "one fold in the column": ({"f": np.zeros(N)}, {"fold": "f", "folds": 3}, {"ope"}),
    "a strange fold": ({"f": np.arange(N) % 4}, {"fold": "f", "folds": 3}, {"ope"}),
    "options out of bounds": (
        {}, {"options": {"ipw": {"trim": 0.7}, "ope": {"clip": 0.5}, "stratification": {"strata": 0}}},
        {"ipw", "ope", "stratification"},
    ),
    "all trimmed": ({}, {"options": {"ipw": {"trim": 0.49999}}}, {"ipw"}),
    "an unknown interaction": ({}, {"options": {"outcome": {"interactions": ["x1^2"]}}}, {"ope"}),
}  # fmt: skip


@pytest.mark.parametrize(("change", "more", "refused"), REFUSED.values(), ids=REFUSED)
def test_refusals(change, more, refused):
    rows = same(data(**change), block(**more))
    assert {name for name, status in statuses(rows).items() if status == "refused"} == refused


def test_extreme_propensities():
    rng = np.random.default_rng(1)
    units = data()
    units["x1"] = units["x1"] * 20 + 60 * (units["t"] - 0.5) * (rng.random(N) < 0.97)
    for clip in (0.0, 0.01):
        same(units, block(x=("x1",), options={"ope": {"clip": clip}}))


def test_by_hand():
    """Effects 1 (half treated) and 5 (three quarters treated) in strata of four: weighted by 4 and 4, 2 and 3, …"""
    units = {
        "unit_id": range(8), "x1": [0.0, 0, 0, 0, 1, 1, 1, 1], "t": [0.0, 0, 1, 1, 0, 1, 1, 1],
        "y": [0.0, 2, 1, 3, 4, 8, 9, 10],
    }  # fmt: skip
    declared = support.observational("y", "t", ["x1"], unit="unit_id", row_budget=2, folds=1)
    found = {
        row["estimand"]: row["estimate"] for row in estimate("s", declared, units).to_pylist()
        if row["estimator"] == "ipw"
    }  # fmt: skip
    assert found == pytest.approx({"ATE": 3.0, "ATT": 17 / 5, "ATO": (1 + 5 * 0.75) / 1.75}, rel=1e-12)


def streamed(units, declared, threads=2, primary="ipw"):
    connection = duckdb.connect(config={"threads": threads})
    connection.register("given", pa.table(units))
    connection.execute("create table units as select * from given")
    study = Study.declare("s", {**declared, "row_budget": 10})
    return assemble(study, connection.table("units"), connection)[0].for_run(primary, "default")


def estimates(problem):
    out = []
    for name in FAMILY:
        run = problem.for_run(name, "default")
        for estimand in BY_NAME[name].estimands:
            row = BY_NAME[name].load_streamed()(run, estimand).estimates[0]
            out += [row.estimate, row.std_error, row.effective_sample_size]
    return np.array(out, dtype=float)


def test_neither_threads_nor_the_order_of_rows_matter(monkeypatch):
    monkeypatch.setattr(subsample, "FEWEST", 4_000)
    units = data(20_000)
    mixed = np.random.default_rng(3).permutation(20_000)
    one = estimates(streamed(units, block(cluster="g"), threads=1))
    two = estimates(streamed({name: v[mixed] for name, v in units.items()}, block(cluster="g"), threads=4))
    np.testing.assert_allclose(one, two, rtol=1e-10)


def test_one_scan_serves_all_three(monkeypatch):
    """A fit of at most four scans and its sub-sample, one each of moments, sums, policies; one more with clusters."""
    scans = []
    for module in (likelihood, moments_scan, weighting):
        monkeypatch.setattr(module, "blocks", lambda *a, blocks=module.blocks: scans.append(1) or blocks(*a))
    for more, most in (({}, 8), ({"cluster": "g"}, 9)):
        scans.clear()
        problem = streamed(data(), block(**more))
        estimates(problem)
        assert len(scans) <= most
        first = len(scans)
        estimates(problem)
        assert len(scans) == first


def test_forms_are_refused_where_the_outcome_cannot_be_fitted_and_ipw_is_not():
    problem = streamed(data(t=(np.arange(N) < 6).astype(float)), block())
    model = forms.read(problem, forms_model(problem), with_outcome=False)
    assert model.forms.crossfitted is None
    assert model.plan.group is None


def forms_model(problem):
    from estimators.streamed.propensity import whole_propensity

    return whole_propensity(problem)
