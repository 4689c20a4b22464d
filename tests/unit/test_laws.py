"""The tails and quantiles are those of scipy.stats, deep in the tails too."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from estimators import laws


@pytest.mark.parametrize("z", [-8.0, -1.0, 0.0, 1.959963984540054, 12.0])
def test_normal(z: float) -> None:
    assert laws.normal_tail(z) == pytest.approx(stats.norm.sf(z), rel=1e-13)
    assert laws.normal_density(np.array([z]))[0] == pytest.approx(stats.norm.pdf(z), rel=1e-13)


@pytest.mark.parametrize("df", [1.0, 3.5, 29.0, 1e6])
@pytest.mark.parametrize("x", [0.2, 2.0, 15.0])
def test_t_chi2_and_f(x: float, df: float) -> None:
    assert laws.t_tail(x, df) == pytest.approx(stats.t.sf(x, df), rel=1e-10)
    assert laws.chi2_tail(x, df) == pytest.approx(stats.chi2.sf(x, df), rel=1e-10)
    assert laws.f_tail(x, 3, df) == pytest.approx(stats.f.sf(x, 3, df), rel=1e-10)


@pytest.mark.parametrize("p", [0.025, 0.5, 0.95, 0.975, 0.999])
def test_quantiles(p: float) -> None:
    assert laws.normal_quantile(p) == pytest.approx(stats.norm.ppf(p), rel=1e-12, abs=1e-15)
    for df in (1.0, 7.0, 1e5):
        assert laws.t_quantile(p, df) == pytest.approx(stats.t.ppf(p, df), rel=1e-9, abs=1e-12)
        assert laws.chi2_quantile(p, df) == pytest.approx(stats.chi2.ppf(p, df), rel=1e-9)
        assert laws.f_quantile(p, 2, df) == pytest.approx(stats.f.ppf(p, 2, df), rel=1e-9)
