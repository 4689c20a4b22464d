"""Mediation against what was published: the framing experiment of Brader, Valentino & Suhay 2008."""

import numpy as np
import pytest
from support import assert_published, last_digit, observational, overall, problem, published, reference_table, run

from estimators.mechanisms.mediation import _analyse

TERMS = ["age", "C(educ)", "C(gender)", "income"]


def framing(**own):
    return observational("cong_mesg", "treat", TERMS, mediator="emo", options={"mediation": own})


def test_framing_acme():
    """Linear anxiety, probit of the letter to Congress; the interval as printed, to its last digit."""
    row = published("mediation_framing", "mediation", "ACME average")
    ours = overall(run(framing(), reference_table("mediation_framing"), "mediation", "ACME"))
    assert_published(ours.estimate, row)
    for end, printed in zip((ours.conf_low, ours.conf_high), row["ci"], strict=True):
        assert abs(end - printed) <= last_digit(printed)


def test_framing_plug_in_agrees_with_statsmodels():
    """The peer's plug-in integral (0.08463), from statsmodels' fits and the closed form of a normal mediator."""
    import statsmodels.api as sm
    from scipy import special

    units = reference_table("mediation_framing")
    p = problem(framing(), units, "mediation")
    x, t, m, y = p.matrix(tuple(TERMS)).values, p.t, p.columns["emo"], p.y
    linear = sm.OLS(m, sm.add_constant(np.column_stack([t, x]))).fit()
    probit = sm.Probit(y, sm.add_constant(np.column_stack([t, m, x]))).fit(disp=0, tol=1e-12)
    spread = probit.params[2] * np.sqrt(linear.scale)

    def world(arm, of_m):
        mean = np.column_stack([np.ones(p.n), np.full(p.n, of_m), x]) @ linear.params
        index = np.column_stack([np.ones(p.n), np.full(p.n, arm), mean, x]) @ probit.params
        return special.ndtr(index / np.sqrt(1 + spread**2)).mean()

    expected = (world(1, 1) - world(1, 0) + world(0, 1) - world(0, 0)) / 2
    ours = overall(run(framing(), units, "mediation", "ACME"))
    assert ours.estimate == pytest.approx(expected, rel=1e-6)
    assert ours.estimate == pytest.approx(0.08463, abs=5e-6)


def test_framing_parametric_simulation_is_the_peers():
    """The mean of statsmodels' 2,000 draws is 0.0827: draws of the models' own covariances, as there."""
    row = published("mediation_framing", "mediation", "ACME average")
    found = _analyse(problem(framing(variance="model", draws=4000), reference_table("mediation_framing"), "mediation"))
    assert found.draws[:, 0].mean() == pytest.approx(row["reproduced_value"], abs=0.0015)
