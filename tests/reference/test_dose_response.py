"""Dose-response against Hirano & Imbens 2004: earnings of lottery winners by the size of the prize.

The stored recipe fits the score on all 237 winners and averages over them, while the outcome's regression has the 202
whose earnings in the sixth year are known. A study reads complete rows, so its score is of the 202: the functions of
the method are run on the recipe's rows, and the study's own answer is compared with them.
"""

import numpy as np
import pytest
from support import assert_published, overall, published, reference_table, run

from estimators.mechanisms.gps import fit_gps, fit_surface, response

WINNERS = (
    "agew", "ownhs", "owncoll", "male", "tixbot", "workthen", "yearw",
    "yearm1", "yearm2", "yearm3", "yearm4", "yearm5", "yearm6",
)  # fmt: skip
DOSES = {10.0: "E[Y(10k USD)]", 50.0: "E[Y(50k USD)]", 100.0: "E[Y(100k USD)]"}


def winners():
    """Prize (thousand USD a year), earnings (NaN where not known) and covariates."""
    units = reference_table("lottery_gps")
    columns = {n: units.column(n).to_numpy(zero_copy_only=False).astype(float) for n in ("prize", "year6", *WINNERS)}
    return columns["prize"], columns["year6"], np.column_stack([columns[name] for name in WINNERS])


def recipe():
    prize, earnings, x = winners()
    score = fit_gps(prize, x, WINNERS, np.ones(len(prize)), "log_normal")
    known = np.isfinite(earnings)
    coef = fit_surface(earnings[known], prize[known], score.score(prize)[known], np.ones(known.sum()))
    return score, response(coef, score, np.array(list(DOSES)), np.ones(len(prize)))[0]


def study(**own):
    return {
        "question": "test", "design": "observational", "outcome": "year6", "dose": "prize", "covariates": list(WINNERS),
        "decision": {
            "primary": "dose_response", "estimand": "DOSE_RESPONSE", "desired_direction": "less", "minimum_effect": 0,
        },
        "missing": "drop", "options": {"dose_response": {"doses": list(DOSES), **own}},
    }  # fmt: skip


def test_score_of_the_prize():
    row = published("lottery_gps", "GPS stage", "coef male")
    score, _ = recipe()
    coefficient = score.coef[score.names.index("male")]
    assert_published(float(coefficient), row)
    assert coefficient == pytest.approx(row["reproduced_value"], abs=5e-4)
    assert score.sigma == pytest.approx(0.8863, abs=5e-5)


def test_standard_error_of_the_score():
    from estimators.linear import covariance, fit_ols

    row = published("lottery_gps", "GPS stage", "coef male")
    prize, _, x = winners()
    fit = fit_ols(np.log(prize), x, WINNERS)
    assert_published(float(np.sqrt(covariance(fit, "classical")[4, 4])), row, "se")


@pytest.mark.parametrize(("place", "dose"), list(enumerate(DOSES)))
def test_earnings_at_a_prize(place, dose):
    row = published("lottery_gps", "dose-response", DOSES[dose])
    assert_published(float(recipe()[1][place]), row)


@pytest.mark.parametrize("method", ["gps", "doubly_robust"])
def test_the_study_tells_the_same(method):
    """From the units, complete rows only: within the intervals, and within half a standard error by the same method."""
    result = run(study(method=method, draws=200), reference_table("lottery_gps"), "dose_response", "DOSE_RESPONSE")
    expected = recipe()[1]
    for place, dose in enumerate(DOSES):
        row = overall(result, f"dose={dose:g}")
        assert row.n_units == 202
        assert row.conf_low < expected[place] < row.conf_high
        if method == "gps":
            assert abs(row.estimate - expected[place]) < 0.5 * row.std_error
    assert overall(result, "dose=100 - dose=10").estimate < 0
    laws = {d.subject for d in result.diagnostics if d.metric == "dose_r2"}
    assert laws == {"log_normal"}
