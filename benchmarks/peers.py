"""The peers' jobs, by name: what people run today for the same numbers, each at its best usual settings.

They read the same Parquet file, one column at a time into one matrix of float64, or into the pandas frame where the
package wants one. Folds are the file's, so estimates can be compared digit by digit. What they need stands in
benchmarks/requirements-peers.txt.
"""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.design import CLIP, COVARIATES, FOLD, FOLDS, INSTRUMENTS, OUTCOME, PANEL, TREATMENT
from benchmarks.job import Job, Numbers

# Rounding, and optimisers that stop a little earlier.
DIGITS, CLOSE = 1e-6, 1e-3


def _matrix(path: Path, names: Sequence[str], constant: bool = False) -> Any:
    """Columns as float64 in Fortran's order, the constant last: shape (n, k)."""
    import numpy as np
    import pyarrow.parquet as pq

    rows = pq.ParquetFile(path).metadata.num_rows
    out = np.empty((rows, len(names) + constant), order="F")
    for j, name in enumerate(names):
        out[:, j] = pq.read_table(path, columns=[name])[name].to_numpy()
    if constant:
        out[:, -1] = 1.0
    return out


def _column(path: Path, name: str) -> Any:
    return _matrix(path, [name])[:, 0]


def _frame(path: Path, names: Sequence[str]) -> Any:
    """A pandas frame whose Arrow memory is given back while it is made."""
    import pyarrow.parquet as pq

    return pq.read_table(path, columns=list(names)).to_pandas(split_blocks=True, self_destruct=True)


def _splits(path: Path) -> list[tuple[Any, Any]]:
    """Rows outside and inside each fold."""
    import numpy as np

    fold = _column(path, FOLD)
    return [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(FOLDS)]


def _logit() -> Any:
    """Newton's method on standardised columns: scikit-learn's fastest for few columns, and it reaches the optimum."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-6))


def _statsmodels(path: Path) -> Numbers:
    import statsmodels.api as sm

    fit = sm.OLS(_column(path, OUTCOME), _matrix(path, (TREATMENT, *COVARIATES), constant=True)).fit(cov_type="HC1")
    return {"ols": float(fit.params[0]), "ols_se": float(fit.bse[0])}


def _pyfixest(path: Path) -> Numbers:
    import pyfixest

    frame = _frame(path, (OUTCOME, TREATMENT, *COVARIATES))
    formula = f"{OUTCOME} ~ {TREATMENT} + {' + '.join(COVARIATES)}"
    fit = pyfixest.feols(formula, frame, vcov="HC1", lean=True, copy_data=False, store_data=False)
    return {"ols": float(fit.coef()[TREATMENT]), "ols_se": float(fit.se()[TREATMENT])}


def _linearmodels(path: Path) -> Numbers:
    """Covariates are centred first: it takes a column of mean 1e6 and sd 1 for a second constant, and refuses."""
    from linearmodels.iv import IV2SLS

    x = _matrix(path, COVARIATES, constant=True)
    x[:, :-1] -= x[:, :-1].mean(axis=0)
    y, t, z = _matrix(path, [OUTCOME]), _matrix(path, [TREATMENT]), _matrix(path, INSTRUMENTS)
    fit = IV2SLS(y, x, t, z).fit(cov_type="robust", debiased=True)
    return {"iv": float(fit.params["endog"]), "iv_se": float(fit.std_errors["endog"])}


def _econml_plr(path: Path) -> Numbers:
    from econml.dml import LinearDML
    from sklearn.linear_model import LinearRegression

    learner = LinearDML(model_y=LinearRegression(), model_t=LinearRegression(), cv=_splits(path))
    fit = learner.fit(_column(path, OUTCOME), _column(path, TREATMENT), W=_matrix(path, COVARIATES))
    return {"plr": float(fit.intercept_), "plr_se": float(fit.intercept__inference().stderr)}


def _econml_dr(path: Path) -> Numbers:
    """Its outcome regression is one for both arms, with the treatment as a column: near ours, not the same."""
    from econml.dr import LinearDRLearner
    from sklearn.linear_model import LinearRegression

    learner = LinearDRLearner(
        model_propensity=_logit(), model_regression=LinearRegression(), min_propensity=CLIP, cv=_splits(path)
    )
    fit = learner.fit(_column(path, OUTCOME), _column(path, TREATMENT).astype(int), W=_matrix(path, COVARIATES))
    return {"aipw": float(fit.intercept_(T=1)), "aipw_se": float(fit.intercept__inference(T=1).stderr)}


def _doubleml(path: Path) -> tuple[Any, dict[str, Any]]:
    """Its data, and the options of both models."""
    import doubleml

    x = _matrix(path, COVARIATES)
    data = doubleml.DoubleMLData.from_arrays(x, _column(path, OUTCOME), _column(path, TREATMENT))
    return data, {"n_folds": FOLDS, "draw_sample_splitting": False}


def _doubleml_plr(path: Path) -> Numbers:
    import doubleml
    from sklearn.linear_model import LinearRegression

    data, options = _doubleml(path)
    model = doubleml.DoubleMLPLR(data, LinearRegression(), LinearRegression(), **options)
    fit = model.set_sample_splitting(_splits(path)).fit(store_predictions=False)
    return {"plr": float(fit.coef[0]), "plr_se": float(fit.se[0])}


def _doubleml_irm(path: Path) -> Numbers:
    import doubleml
    from sklearn.linear_model import LinearRegression

    data, options = _doubleml(path)
    model = doubleml.DoubleMLIRM(data, LinearRegression(), _logit(), trimming_threshold=CLIP, **options)
    fit = model.set_sample_splitting(_splits(path)).fit(store_predictions=False)
    return {"aipw": float(fit.coef[0]), "aipw_se": float(fit.se[0])}


def _sklearn_matching(path: Path) -> Numbers:
    """No standard error: scikit-learn finds the neighbours, and that is all."""
    from sklearn.neighbors import NearestNeighbors

    y, t, x = _column(path, OUTCOME), _column(path, TREATMENT), _matrix(path, COVARIATES)
    e = _logit().fit(x, t).predict_proba(x)[:, 1:]
    treated = t == 1
    near = NearestNeighbors(n_neighbors=1, n_jobs=-1).fit(e[~treated]).kneighbors(e[treated], return_distance=False)
    return {"psm": float((y[treated] - y[~treated][near[:, 0]]).mean())}


def _diff_diff(path: Path) -> Numbers:
    """No covariates, so the outcome regression is the plain difference of means; analytic standard errors."""
    from diff_diff import CallawaySantAnna

    frame = _frame(path, (PANEL.unit, PANEL.time, PANEL.cohort, PANEL.outcome))
    model = CallawaySantAnna(control_group="never_treated", estimation_method="reg")
    fit = model.fit(frame, PANEL.outcome, PANEL.unit, PANEL.time, PANEL.cohort)
    fit.aggregate("event_study")
    return {"did": float(fit.overall_att), "did_se": float(fit.overall_se)}


def _csdid(path: Path) -> Numbers:
    """As above; it prints what it finds, so its output goes to the errors."""
    from csdid.att_gt import ATTgt

    frame = _frame(path, (PANEL.unit, PANEL.time, PANEL.cohort, PANEL.outcome))
    with contextlib.redirect_stdout(sys.stderr):
        model = ATTgt(PANEL.outcome, PANEL.time, PANEL.unit, PANEL.cohort, frame, control_group="nevertreated")
        fit = model.fit(est_method="reg", bstrap=False)
        fit.aggte("dynamic", bstrap=False, cband=False)
        got = fit.aggte("simple", bstrap=False, cband=False).atte
    return {"did": float(got["overall_att"]), "did_se": float(got["overall_se"])}


def _quiet(run: Any) -> Any:
    """Without the warnings that a peer prints about its own future."""

    def quietly(path: Path) -> Numbers:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return run(path)

    return quietly


_OLS = {"ols": ("ols", DIGITS), "ols_se": ("ols_se", DIGITS)}
_IV = {"iv": ("iv", DIGITS), "iv_se": ("iv_se", DIGITS)}
_PLR = {"plr": ("plr", DIGITS), "plr_se": ("plr_se", 1e-4)}
_AIPW = {"aipw": ("ope_ate", DIGITS), "aipw_se": ("ope_ate_se", 1e-4)}
_AIPW_NEAR = {"aipw": ("ope_ate", CLOSE), "aipw_se": ("ope_ate_se", 1e-2)}
_PSM = {"psm": ("psm", CLOSE)}
_DID = {"did": ("did", DIGITS), "did_se": ("did_se", DIGITS)}
_READ = ("numpy", "pyarrow.parquet")
_LEARN = (*_READ, "sklearn.linear_model", "sklearn.pipeline", "sklearn.preprocessing")

PEERS: dict[str, Job] = {
    "statsmodels_ols": Job(
        _quiet(_statsmodels), "OLS + HC1", (*_READ, "statsmodels.api"), package="statsmodels", against="linear",
        same=_OLS,
    ),
    "pyfixest_ols": Job(
        _quiet(_pyfixest), "feols + HC1, lean and without copies", (*_READ, "pandas", "pyfixest.estimation"),
        package="pyfixest", against="linear", same=_OLS,
    ),
    "linearmodels_iv": Job(
        _quiet(_linearmodels), "IV2SLS, robust", (*_READ, "linearmodels.iv"), package="linearmodels", against="linear",
        same=_IV,
    ),
    "econml_plr": Job(
        _quiet(_econml_plr), "LinearDML, linear first stages, five folds", (*_LEARN, "econml.dml"), package="econml",
        against="linear", same=_PLR,
    ),
    "doubleml_plr": Job(
        _quiet(_doubleml_plr), "PLR, linear learners, five folds", (*_LEARN, "doubleml"), package="doubleml",
        against="linear", same=_PLR,
    ),
    "econml_dr": Job(
        _quiet(_econml_dr), "LinearDRLearner, logit and linear, five folds", (*_LEARN, "econml.dr"), package="econml",
        against="propensity", same=_AIPW_NEAR,
    ),
    "doubleml_irm": Job(
        _quiet(_doubleml_irm), "IRM, logit and linear, five folds", (*_LEARN, "doubleml"), package="doubleml",
        against="propensity", same=_AIPW,
    ),
    "sklearn_matching": Job(
        _quiet(_sklearn_matching), "logit, nearest neighbour on it, ATT", (*_LEARN, "sklearn.neighbors"),
        package="scikit-learn", against="psm", same=_PSM,
    ),
    "diff_diff": Job(
        _quiet(_diff_diff), "Callaway–Sant'Anna, event study", (*_READ, "pandas", "diff_diff"), "panel",
        package="diff-diff", against="did", same=_DID,
    ),
    "csdid": Job(
        _quiet(_csdid), "Callaway–Sant'Anna, event study", (*_READ, "pandas", "csdid.att_gt"), "panel",
        package="csdid", against="did", same=_DID,
    ),
}  # fmt: skip
