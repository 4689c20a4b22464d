"""The three systems on real data: against published g-formulas, and fast enough."""

import pytest
from support import assert_published, observational, overall, published, reference_table, run

NSW = ["age", "education", "black", "hispanic", "married", "nodegree", "re74", "re75"]
NHEFS = [
    "C(sex)", "C(race)", "age", "age^2", "C(education)", "smokeintensity", "smokeintensity^2", "smokeyrs", "smokeyrs^2",
    "C(exercise)", "C(active)", "wt71", "wt71^2",
]  # fmt: skip


def test_nsw_linear_system_is_the_interacted_regression():
    row = published("nsw_dw", "regression adjustment, fully interacted", "ATE")
    result = run(observational("re78", "treat", NSW), reference_table("nsw_dw"), "counterfactual", "ATE")
    assert_published(overall(result, "system=linear").estimate, row)


def test_nsw_systems_hold_the_experimental_benchmark():
    """Treatment was randomised, so every system estimates what the difference in means does."""
    row = published("nsw_dw", "experimental benchmark", "ATE")
    result = run(observational("re78", "treat", NSW), reference_table("nsw_dw"), "counterfactual", "ATE")
    assert len(result.estimates) == 4
    for one in result.estimates:
        assert abs(one.estimate - row["value"]) < 0.5 * row["se"]
        assert one.std_error == pytest.approx(row["se"], rel=0.2)


def test_nhefs_agrees_with_the_book():
    row = published("nhefs", "standardization", "ATE")
    block = observational("wt82_71", "qsmk", NHEFS, unit="seqn")
    result = run(block, reference_table("nhefs"), "counterfactual", "ATE")
    low, high = row["ci"]
    assert all(low < one.estimate < high for one in result.estimates)


@pytest.mark.parametrize("seed", [1, 2])
def test_ihdp_truth_is_inside_the_systems_intervals(seed):
    """The nonlinear truth of the first IHDP simulation (747 units)."""
    row = published("ihdp_npci_1", "CATE", "true ATE")
    covariates = [f"x{j}" for j in range(1, 26)]
    block = observational("y_factual", "treatment", covariates, seed=seed)
    result = run(block, reference_table("ihdp_npci_1"), "counterfactual", "ATE")
    one = overall(result)
    assert one.conf_low < row["value"] < one.conf_high
