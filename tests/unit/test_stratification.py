"""Stratification: by hand, against least squares with stratum indicators, refusals, metamorphic."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import support

from estimators.errors import Refusal
from estimators.scores import score_table
from estimators.selection_on_observables.stratification import (
    share_errors,
    strata_of,
    stratified,
    stratum_shares,
    stratum_weights,
)

BLOCK = support.observational("y", "t", ["x1", "x2"])
ATE = ("stratification", "ATE")


SANDWICH = {"cluster_variance": "sandwich"}


def block(**options: object) -> dict:
    return {**BLOCK, "options": {"stratification": options}}


def clustered() -> dict[str, np.ndarray]:
    return {**support.simulated(), "school": np.arange(600) % 40}


def test_two_strata_by_hand() -> None:
    y = np.array([5.0, 7.0, 1.0, 3.0, 10.0, 14.0, 6.0, 8.0, 4.0, 2.0])
    t = np.array([1.0, 1, 0, 0, 1, 1, 0, 0, 0, 0])
    strata = np.array([1, 1, 1, 1, 2, 2, 2, 2, 2, 2])
    # stratum 1: 6 − 2 = 4, variances 2/2 + 2/2; stratum 2: 12 − 5 = 7, 8/2 + (20/3)/4
    for estimand, shares in (("ATE", (0.4, 0.6)), ("ATT", (0.5, 0.5))):
        np.testing.assert_allclose(stratum_shares(t, strata, estimand), shares)
        got = stratified(y, t, np.empty((10, 0)), (), strata, np.array(shares))
        assert got.effect == pytest.approx(shares[0] * 4 + shares[1] * 7)
        assert np.sum(got.errors**2) == pytest.approx(shares[0] ** 2 * 2 + shares[1] ** 2 * (4 + 5 / 3))
        # Shares of 10 units, or of 4 treated: the effects 4 and 7 vary by q (1 − q) 3².
        added = share_errors(got, t, strata, estimand)
        between = shares[0] * shares[1] * 9 / (10 if estimand == "ATE" else 4)
        assert np.sum(added**2) == pytest.approx(between)
        assert added.sum() == pytest.approx(0, abs=1e-15)
        w = stratum_weights(t, strata, estimand)
        arms = [np.average(y[t == a], weights=w[t == a]) for a in (0, 1)]
        assert arms[1] - arms[0] == pytest.approx(got.effect)
    np.testing.assert_allclose(stratum_weights(t, strata, "ATT"), [1, 1, 1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5])


@pytest.mark.parametrize("adjustment", ["none", "regression"])
def test_each_stratum_is_the_regression_of_statsmodels(adjustment: str) -> None:
    import statsmodels.api as sm

    given = block(adjustment=adjustment, variance="within_stratum")
    p = support.problem(given, support.simulated(), "stratification")
    row = support.overall(support.run(given, support.simulated(), "stratification", "ATE"))
    both = support.overall(support.run(block(adjustment=adjustment), support.simulated(), "stratification", "ATE"))
    strata, x = strata_of(p), np.column_stack([p.t, p.columns["x1"], p.columns["x2"]])
    x = x if adjustment == "regression" else x[:, :1]
    effect = variance = 0.0
    effects = []
    for s in np.unique(strata):
        fit = sm.OLS(p.y[strata == s], sm.add_constant(x[strata == s])).fit(cov_type="HC2")
        effects.append(fit.params[1])
        effect += np.mean(strata == s) * fit.params[1]
        variance += np.mean(strata == s) ** 2 * fit.cov_params()[1, 1]
    assert row.estimate == pytest.approx(effect, abs=1e-9)
    assert row.std_error == pytest.approx(np.sqrt(variance), abs=1e-9)
    between = np.sum((np.array(effects)[strata - 1] - effect) ** 2) / p.n**2
    assert both.std_error == pytest.approx(np.sqrt(variance + between), abs=1e-9)
    assert (row.variance_estimator, both.variance_estimator) == ("within_stratum", "with_shares")


def test_strata_are_quantiles_of_the_estimands_population() -> None:
    p = support.problem(block(strata=4), support.simulated(), "stratification")
    assert np.bincount(strata_of(p))[1:].tolist() == [150, 150, 150, 150]
    of_treated = np.bincount(strata_of(p, "ATT")[p.t == 1])[1:]
    assert of_treated.max() - of_treated.min() <= 1
    e = p.propensity().probability
    for estimand in ("ATE", "ATT"):
        s = strata_of(p, estimand)
        assert all(e[s == k].max() < e[s == k + 1].min() for k in range(1, 4))


def test_equal_propensities_share_a_stratum() -> None:
    units = support.simulated()
    units["x1"] = (units["x1"] > 0).astype(float)
    p = support.problem({**support.observational("y", "t", ["x1"]), "options": {}}, units, "stratification")
    assert len(np.unique(strata_of(p))) == 2
    assert all(len(np.unique(strata_of(p)[p.columns["x1"] == v])) == 1 for v in (0, 1))


def test_one_stratum_is_the_difference_in_means() -> None:
    units = support.simulated()
    row = support.overall(support.run(block(strata=1), units, "stratification", "ATE"))
    y1, y0 = units["y"][units["t"] == 1], units["y"][units["t"] == 0]
    assert row.estimate == pytest.approx(y1.mean() - y0.mean())
    assert row.std_error == pytest.approx(np.sqrt(y1.var(ddof=1) / len(y1) + y0.var(ddof=1) / len(y0)))


def test_a_cluster_a_unit_is_the_plain_variance_times_its_factor_and_duplicates_do_not_help() -> None:
    units = clustered()
    plain = support.overall(support.run(block(), units, "stratification", "ATE"))
    sandwich = {**BLOCK, "options": SANDWICH}
    own = support.overall(support.run({**sandwich, "cluster": "unit_id"}, units, "stratification", "ATE"))
    assert own.std_error == pytest.approx(plain.std_error * np.sqrt(600 / 599), rel=1e-12)
    assert (own.n_clusters, own.variance_estimator) == (600, "cluster")
    twice = {name: np.concatenate([v, v]) for name, v in units.items()}
    twice["pair"], twice["unit_id"] = twice["unit_id"], np.arange(1200)
    paired = support.overall(support.run({**sandwich, "cluster": "pair"}, twice, "stratification", "ATE"))
    assert paired.estimate == pytest.approx(plain.estimate, abs=1e-9)
    assert paired.std_error == pytest.approx(own.std_error, rel=0.02)


def test_the_cluster_variance_by_sums() -> None:
    units = clustered()
    p = support.problem({**block(), "cluster": "school"}, units, "stratification")
    strata = strata_of(p)
    got = stratified(p.y, p.t, np.empty((600, 0)), (), strata, stratum_shares(p.t, strata, "ATE"))
    errors = {"within_stratum": got.errors, "with_shares": got.errors + share_errors(got, p.t, strata, "ATE")}
    for variance, each in errors.items():
        options = {"stratification": {"variance": variance}, **SANDWICH}
        row = support.overall(support.run({**BLOCK, "options": options, "cluster": "school"}, units, *ATE))
        sums = np.array([each[p.cluster == g].sum() for g in range(40)])
        assert row.std_error == pytest.approx(np.sqrt(np.sum(sums**2) * 40 / 39), rel=1e-12)
        assert row.variance_estimator == "cluster"


@pytest.mark.parametrize("estimand", ["ATE", "ATT"])
@pytest.mark.parametrize("adjustment", ["none", "regression"])
def test_row_order_changes_nothing_and_the_outcome_scales(estimand: str, adjustment: str) -> None:
    units = support.simulated()
    b = block(adjustment=adjustment)
    row = support.overall(support.run(b, units, "stratification", estimand))
    other = support.overall(support.run(b, support.shuffled(pa.table(units)), "stratification", estimand))
    scaled = support.overall(support.run(b, {**units, "y": units["y"] * 1000 + 5}, "stratification", estimand))
    for field in ("estimate", "std_error"):
        assert getattr(other, field) == pytest.approx(getattr(row, field), abs=1e-10)
        assert getattr(scaled, field) == pytest.approx(1000 * getattr(row, field), rel=1e-9)


def test_diagnostics_tell_each_stratum() -> None:
    result = support.run(block(), support.simulated(), "stratification", "ATE")
    by = {(d.metric, d.subject): d.value for d in result.diagnostics}
    assert [by["stratum_units", f"stratum={s}"] for s in range(1, 6)] == [120.0] * 5
    assert sum(by["stratum_treated", f"stratum={s}"] for s in range(1, 6)) == support.simulated()["t"].sum()
    assert {s for m, s in by if m == "weighted_smd"} == {"x1", "x2"}


def test_the_scores_table_weighs_each_estimand_by_its_own_strata() -> None:
    p = support.problem(BLOCK, support.simulated(), "ope")
    table = score_table(p).to_pydict()
    t, y = np.array(table["treatment"]), p.y
    for estimand in ("ATE", "ATT"):
        w = np.array(table[f"weight_stratification_{estimand.lower()}"])
        arms = [np.average(y[t == a], weights=w[t == a]) for a in (0, 1)]
        row = support.overall(support.run(BLOCK, support.simulated(), "stratification", estimand))
        assert arms[1] - arms[0] == pytest.approx(row.estimate, abs=1e-10)


def test_empty_and_thin_strata_refuse_by_name() -> None:
    t, strata = np.array([1.0, 0, 0, 0, 1, 1]), np.array([1, 1, 2, 2, 3, 3])
    with pytest.raises(Refusal, match=r"stratum 2 has 0 treated.*stratum 3 has 2 treated and 0 untreated"):
        stratum_weights(t, strata, "ATE")
    units = support.simulated(60)
    with pytest.raises(Refusal, match="stratum"):
        support.run(block(strata=30), units, "stratification", "ATE")


def test_other_refusals() -> None:
    with pytest.raises(Refusal, match="at least 1"):
        support.run(block(strata=0), support.simulated(), "stratification", "ATE")
    units = {**support.simulated(60), "one": np.ones(60)}
    with pytest.raises(Refusal, match="cluster"):
        support.run({**block(strata=2), "cluster": "one"}, units, "stratification", "ATE")
    many = {**support.simulated(40), **{f"z{j}": np.sin(np.arange(40.0) * (j + 2)) for j in range(30)}}
    b = support.observational(
        "y", "t", ["x1"], options={"stratification": {"adjustment": "regression", "strata": 1},
                                   "propensity": {"covariates": ["x1"]}},
    )  # fmt: skip
    narrow = support.problem(b, many, "stratification")
    x = np.column_stack([many[f"z{j}"] for j in range(30)] + [many["x1"] ** k for k in range(1, 12)])
    with pytest.raises(Refusal, match="stratum 1 cannot be regressed"):
        stratified(narrow.y, narrow.t, x, tuple(f"c{j}" for j in range(41)), np.ones(40, dtype=int), np.ones(1))
