"""The generated studies: the same seed gives the same rows, and a much larger draw has the effects that are named."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from estimators.generate import STUDIES, Columns, Generated
from estimators.processes import ecommerce, education, finance
from estimators.processes.parts import Truth, averages, logistic, of, variance_weighted
from estimators.registry import BY_NAME

SEED_FILE = Path(__file__).resolve().parents[2] / "seeds" / "known_truths.csv"


def truth(truths: tuple[Truth, ...], estimator: str, estimand: str, term: str = "overall") -> float:
    """The one truth of that name."""
    (found,) = [t.value for t in truths if (t.estimator, t.estimand, t.term) == (estimator, estimand, term)]
    return found


def coefficient(y: np.ndarray, *columns: np.ndarray) -> float:
    """Least squares of y on a constant and the columns: the first column's coefficient."""
    design = np.column_stack([np.ones(len(y)), *columns])
    return float(np.linalg.lstsq(design, y, rcond=None)[0][1])


def test_averages_by_hand() -> None:
    p, effect = np.array([0.2, 0.6]), np.array([1.0, 3.0])
    assert averages(p, effect) == pytest.approx({"ATE": 2.0, "ATT": 2.0 / 0.8, "ATO": (0.16 + 0.72) / 0.40})


def test_variance_weights_are_the_overlap_where_the_treatment_is_linear() -> None:
    x = np.array([-1.0, 0.0, 1.0])
    p, effect = 0.5 + 0.2 * x, np.array([1.0, 2.0, 4.0])
    assert variance_weighted([x], p, effect) == pytest.approx(averages(p, effect)["ATO"])
    # where it is not, a treated unit counts by its distance from the line
    bent = np.array([0.1, 0.7, 0.4])
    line = np.polyval(np.polyfit(x, bent, 1), x)
    weight = bent * (1 - line)
    assert variance_weighted([x], bent, effect) == pytest.approx(weight @ effect / weight.sum())


def test_logistic_and_a_truths_default_term() -> None:
    assert logistic(np.array([0.0, np.log(3)])) == pytest.approx([0.5, 0.75])
    assert of("ipw", "ATE", 1, "why").term == "overall"


@pytest.mark.parametrize("make", [education.education, finance.finance, ecommerce.ecommerce])
def test_the_same_seed_gives_the_same_rows(make: Callable[..., Generated]) -> None:
    one, again, other = make(), make(), make(seed=7)
    assert all(np.array_equal(one.units[name], again.units[name], equal_nan=True) for name in one.units)
    assert any(not np.array_equal(one.units[name], other.units[name]) for name in one.units)
    lengths = {len(values) for values in one.units.values()}
    assert len(lengths) == 1


def test_the_seed_file_holds_the_processes_truths() -> None:
    with SEED_FILE.open() as file:
        listed = {
            (r["study"], r["estimator"], r["estimand"], r["term"]): float(r["truth"]) for r in csv.DictReader(file)
        }
    made = {
        (name, t.estimator, t.estimand, t.term): t.value
        for name, make in STUDIES.items()
        if name != "healthcare"
        for t in make().truths
    }
    assert {key for key in listed if key[0] != "healthcare"} == set(made)
    assert all(listed[key] == pytest.approx(value, abs=1e-5) for key, value in made.items())
    for _, estimator, estimand, _ in listed:
        assert estimand in BY_NAME[estimator].estimands, (estimator, estimand)


def test_education_has_its_effects() -> None:
    made = education.education(seed=3, schools=6_000)
    u = made.units
    seen = ~np.isnan(u["score"])
    assert np.mean(~seen) == pytest.approx(education.ABSENT, abs=0.002)
    by_school = np.bincount(u["school"] - 1, u["tutored"]) / np.bincount(u["school"] - 1)
    assert set(by_school) == {0.0, 1.0}
    assert by_school.mean() == 0.5
    x = [u[name][seen] for name in ("tutored", "prior_score", "graduate", "girl")]
    assert coefficient(u["score"][seen], *x) == pytest.approx(truth(made.truths, "ope", "ATE"), abs=0.12)
    moved = coefficient(u["attendance"], u["tutored"])
    alone = coefficient(u["score"][seen], x[0], u["attendance"][seen], *x[1:])
    assert alone == pytest.approx(truth(made.truths, "mediation", "ADE"), abs=0.12)
    assert moved * education.FROM_ATTENDANCE == pytest.approx(truth(made.truths, "mediation", "ACME"), abs=0.03)


def test_finance_has_its_effects() -> None:
    made = finance.finance(seed=3, n=150_000)
    wide = {name: values.reshape(-1, finance.QUARTERS) for name, values in made.units.items()}
    cohort, spending = wide["cohort"][:, 0], wide["spending"]
    never = spending[cohort == 0]
    for e in (0, 3, 6):  # of the cohort that is seen longest
        change = spending[:, 4 - 1 + e] - spending[:, 4 - 2]
        gap = change[cohort == 4].mean() - (never[:, 4 - 1 + e] - never[:, 4 - 2]).mean()
        assert gap == pytest.approx(truth(made.truths, "did", "ATT", f"event_time={e}"), abs=0.06)
    last = {name: values[:, -1] for name, values in wide.items()}
    given = [last[name] for name in ("app", "income", "age", "tenure")]
    assert coefficient(last["spending"], *given) == pytest.approx(truth(made.truths, "tvce", "ATE"), abs=0.05)
    far = last["credit_score"] - finance.CUTOFF
    near = np.abs(far) < 30
    jump = coefficient(last["spending"][near], (far >= 0)[near].astype(float), far[near], (far * (far >= 0))[near])
    assert jump == pytest.approx(truth(made.truths, "rd", "LATE"), abs=0.1)


def test_finance_two_way_fixed_effects_are_not_the_mean_effect() -> None:
    made = finance.finance(seed=3, n=150_000)
    y, d = (made.units[name].reshape(-1, finance.QUARTERS) for name in ("spending", "app"))
    left = d - d.mean(axis=1, keepdims=True) - d.mean(axis=0) + d.mean()
    found = float((left * y).sum() / (left * d).sum())
    assert found == pytest.approx(truth(made.truths, "twfe", "ATT"), abs=0.02)
    assert truth(made.truths, "did", "ATT") - found > 0.05


def test_ecommerce_has_its_effects() -> None:
    made = ecommerce.ecommerce(seed=3, n=1_000_000)
    u: Columns = made.units
    assert u["member"][u["offer"] == 0].sum() == 0, "nobody joins without the offer"
    offered, bought = u["offer"] == 1, u["bought"]
    wald = (bought[offered].mean() - bought[~offered].mean()) / u["member"][offered].mean()
    assert wald == pytest.approx(truth(made.truths, "iv", "LATE"), abs=0.008)
    given = [u[name] for name in ("member", "visits", "age", "mobile")]
    assert coefficient(bought, *given) == pytest.approx(truth(made.truths, "tvce", "ATE"), abs=0.004)
    third = bought[u["banner"] == 2].mean()
    assert third == pytest.approx(truth(made.truths, "policy_value", "policy_value"), abs=0.003)
    assert third - bought.mean() == pytest.approx(truth(made.truths, "policy_value", "policy_value", "gain"), abs=0.003)


def test_ecommerce_chances_are_chances() -> None:
    x = ecommerce.visitors(np.random.default_rng(1), 200_000)
    p = ecommerce.member_probability(x)
    assert p.min() > 0
    assert p.max() < 0.5, "twice the chance is that of those with the offer"
    least = 0.30 + 0.06 * x.visits.min() + 0.02 * x.age.min()
    most = 0.35 + 0.06 * x.visits.max() + 0.02 * x.age.max() + ecommerce.EFFECT + ecommerce.BY_MOBILE + 0.06
    assert 0 < least < most < 1


def test_sizes_stay_small_enough_for_every_build() -> None:
    sizes = {name: len(next(iter(make().units.values()))) for name, make in STUDIES.items() if name != "healthcare"}
    assert max(sizes.values()) <= 30_000, sizes
