"""Causal forest against a cluster-randomised trial, a simulated truth, and EconML's own doubly robust forest."""

from __future__ import annotations

import numpy as np
import pytest
from support import explained, observational, overall, published, reference_table, run

COVARIATES = ["is_female", "family_receives_cash_transfer", "financial_autonomy_index", "intention_to_save_index"]


def test_schoolrct_average_is_the_published_contrast() -> None:
    """The forest's average over pupils with all covariates lies within one published error of the contrast of all."""
    row = published("schoolrct", "CATE average", "ATE")
    block = observational(
        "outcome_test_score", "treatment", COVARIATES, design="experiment", cluster="school", missing="drop",
        effect_modifiers=["is_female"], options={"causal_forest": {"n_estimators": 40}},
    )  # fmt: skip
    ours = overall(run(block, reference_table("schoolrct"), "causal_forest", "ATE"))
    explained(row, ours.estimate, "forest: of pupils whose covariates are known, within one published error")
    assert abs(ours.estimate - row["value"]) < row["se"]
    assert ours.std_error == pytest.approx(row["se"], rel=0.1)


def test_ihdp_truth() -> None:
    """The truth of the first IHDP simulation: its mean, its groups, and each unit's own effect."""
    row = published("ihdp_npci_1", "CATE", "true ATE")
    units = reference_table("ihdp_npci_1")
    covariates = [f"x{j}" for j in range(1, 26)]
    # See test_cate: no logit of all columns converges in every fold.
    chosen = {"propensity": {"covariates": covariates[:17]}}
    block = observational("y_factual", "treatment", covariates, options=chosen)
    result = run(block, units, "causal_forest", "ATE")
    one = overall(result)
    explained(row, one.estimate, "forest: the simulated truth lies within our 95 % interval")
    assert one.conf_low < row["value"] < one.conf_high
    tau = np.asarray(units["mu1"]) - np.asarray(units["mu0"])
    treated = np.asarray(units["treatment"]) == 1
    att = overall(run(block, units, "causal_forest", "ATT"))
    assert att.conf_low < tau[treated].mean() < att.conf_high


def test_nhefs_agrees_with_econml_s_averages() -> None:
    """EconML's causal forest with cross-fitted logits and regressions of its own: averages within a standard error."""
    from econml.dml import CausalForestDML
    from sklearn.linear_model import LinearRegression, LogisticRegression

    names = ["age", "smokeintensity", "smokeyrs", "wt71"]
    units = reference_table("nhefs")
    block = observational("wt82_71", "qsmk", names, unit="seqn", missing="drop", effect_modifiers=names)
    ours = overall(run(block, units, "causal_forest", "ATE"))
    table = units.select([*names, "qsmk", "wt82_71"]).to_pandas().dropna()
    x = table[names].to_numpy(dtype=float)
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    peer = CausalForestDML(
        model_y=LinearRegression(), model_t=LogisticRegression(C=1e6), discrete_treatment=True, n_estimators=200,
        drate=True, cv=5, random_state=1, n_jobs=1,
    ).fit(table["wt82_71"].to_numpy(), table["qsmk"].to_numpy(), X=z)  # fmt: skip
    assert abs(ours.estimate - float(np.ravel(peer.ate_)[0])) < ours.std_error
    assert ours.std_error == pytest.approx(float(np.ravel(peer.ate_stderr_)[0]), rel=0.15)
