"""The catalogue of estimators: which roles each needs, what it estimates and which options it takes."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .problem import Problem
    from .result import Result
    from .study import Study


@dataclass(frozen=True)
class Option:
    """One option of an estimator: its default, the values that it may take (or their type) and what it does."""

    default: Any
    allowed: tuple[Any, ...] | type | tuple[type, ...]
    meaning: str

    def accepts(self, value: Any) -> bool:
        """Whether the value may stand for this option (None only where it is the default)."""
        if value is None:
            return self.default is None
        if isinstance(self.allowed, tuple) and not all(isinstance(a, type) for a in self.allowed):
            return any(value == a and isinstance(value, bool) == isinstance(a, bool) for a in self.allowed)
        if isinstance(value, float) and not math.isfinite(value):
            return False
        kinds = self.allowed if isinstance(self.allowed, tuple) else (self.allowed,)
        if isinstance(value, bool) and bool not in kinds:
            return False
        return isinstance(value, (*kinds, int) if float in kinds else kinds)  # type: ignore[arg-type]

    def describe(self) -> str:
        """The allowed values in words."""
        if isinstance(self.allowed, tuple) and not all(isinstance(a, type) for a in self.allowed):
            return ", ".join(str(a) for a in self.allowed)
        kinds = self.allowed if isinstance(self.allowed, tuple) else (self.allowed,)
        return " or ".join(k.__name__ for k in kinds)  # type: ignore[union-attr]


@dataclass(frozen=True)
class Estimator:
    """One estimator of the catalogue.

    Attributes
    ----------
    name : str
        Value of ``estimates.estimator``.
    where : str
        ``module:function`` below the package; imported when it first runs, because imports are part of speed.
    needs : tuple of str
        Roles that must be declared.
    treatment : str or None
        ``binary`` or ``continuous`` where it asks for one kind, ``any`` for either, None where it reads no treatment.
    estimands : tuple of str
        Each is one run.
    options : mapping of str to Option
    weights : bool
        Whether a declared ``weight`` is used; otherwise the estimator refuses weighted studies.
    clusters : bool
        Whether a declared ``cluster`` is used; otherwise the estimator refuses clustered studies.
    streams : bool
        Whether it also runs on more rows than fit in memory; otherwise it refuses studies above their row budget.
    reads : str
        ``units``: one row a unit, those of the study's own population (``sample`` 1) in the period ``cross_section``
        (default the last). ``panel``: every period. ``populations``: one row a unit, of the target population too.
    """

    name: str
    where: str
    title: str
    needs: tuple[str, ...]
    treatment: str | None
    estimands: tuple[str, ...]
    assumptions: str
    when_not: str
    source: str
    options: dict[str, Option] = field(default_factory=dict)
    weights: bool = True
    clusters: bool = True
    streams: bool = False
    reads: str = "units"

    def load(self) -> Callable[[Problem, str], Result]:
        """The function that estimates: (problem, estimand) to a Result."""
        module, function = self.where.split(":")
        return getattr(importlib.import_module(f"estimators.{module}"), function)

    def load_streamed(self) -> Callable[[Any, str], Result]:
        """Its namesake for studies above their row budget: ``estimators.streamed.<name>:<name>``."""
        return getattr(importlib.import_module(f"estimators.streamed.{self.name}"), self.name)

    def suits(self, study: Study, treatment_kind: str | None) -> bool:
        """Whether the study's roles allow it. ``treatment_kind`` is binary, continuous or None."""
        if any(not study.has(role) for role in self.needs):
            return False
        return self.treatment in (None, treatment_kind) or (self.treatment == "any" and treatment_kind is not None)


_OLS_VARIANCES = ("classical", "HC0", "HC1", "HC2", "HC3")
_COVARIATES = Option(None, (list, tuple), "terms in place of the study's covariates")
_SELECTION = "no unmeasured confounding given the covariates; overlap; no interference"

ESTIMATORS: tuple[Estimator, ...] = (
    Estimator(
        "difference_in_means", "experiments.difference_in_means:difference_in_means", "Difference in means",
        ("outcome", "treatment"), "binary", ("ATE",),
        "treatment assigned at random", "treatment was chosen: then it is only the naive contrast",
        "Neyman 1923",
        {"variance": Option("HC2", ("classical", "HC0", "HC1", "HC2"), "HC2 is Neyman's conservative variance")},
        streams=True,
    ),
    Estimator(
        "ols", "selection_on_observables.ols:ols", "Least squares on a continuous treatment",
        ("outcome", "treatment"), "continuous", ("ATE",),
        "linear in the treatment; no unmeasured confounding given the covariates", "treatment is endogenous",
        "Wooldridge 2010",
        {"variance": Option("HC1", _OLS_VARIANCES, "heteroskedasticity-robust unless classical"),
         "covariates": _COVARIATES},
        streams=True,
    ),
    Estimator(
        "regression_adjustment", "selection_on_observables.regression_adjustment:regression_adjustment",
        "Regression adjustment", ("outcome", "treatment", "covariates"), "binary", ("ATE", "ATT"),
        _SELECTION + "; the outcome regression is right (or treatment was randomised)",
        "arms differ so much that the regression extrapolates", "Lin 2013; Heckman 1998",
        {"variance": Option("HC2", (*_OLS_VARIANCES, "m_estimation"), "m_estimation adds the covariates' sampling")},
        streams=True,
    ),
    Estimator(
        "ipw", "selection_on_observables.ipw:ipw", "Inverse probability weighting",
        ("outcome", "treatment", "covariates"), "binary", ("ATE", "ATT", "ATO"),
        _SELECTION + "; the propensity model is right", "propensities come near 0 or 1",
        "Robins et al. 2000; Li et al. 2018",
        {"variance": Option("stacked", ("stacked", "fixed_weights"), "stacked counts the propensity's estimation"),
         "trim": Option(0.0, float, "units with propensity outside [trim, 1 - trim] are left out and counted")},
        streams=True,
    ),
    Estimator(
        "psm", "selection_on_observables.psm:psm", "Propensity score matching",
        ("outcome", "treatment", "covariates"), "binary", ("ATT", "ATE"),
        _SELECTION + "; the propensity model is right", "few good matches: see the matched balance",
        "Rosenbaum & Rubin 1983; Abadie & Imbens 2006",
        {"neighbours": Option(1, int, "matches a unit, ties all kept"),
         "caliper": Option(None, float, "largest distance, in standard deviations of the propensity"),
         "replace": Option(True, (True, False), "with replacement; without, in descending propensity"),
         "tie_tolerance": Option(0.0, float, "squared distances (in sd) this close tie; R's Matching takes 1e-5"),
         "bias_adjustment": Option(False, (True, False), "regression adjustment of the matched difference")},
        weights=False, streams=True,
    ),
    Estimator(
        "stratification", "selection_on_observables.stratification:stratification", "Propensity stratification",
        ("outcome", "treatment", "covariates"), "binary", ("ATE", "ATT"),
        _SELECTION + "; little confounding is left inside a stratum", "strata without both arms",
        "Cochran 1968; Rosenbaum & Rubin 1984",
        {"strata": Option(5, int, "number of propensity strata"),
         "adjustment": Option("none", ("none", "regression"), "regression of the outcome inside each stratum")},
        weights=False, streams=True,
    ),
    Estimator(
        "ope", "selection_on_observables.ope:ope", "Doubly robust (AIPW)",
        ("outcome", "treatment", "covariates"), "binary", ("ATE", "ATT"),
        _SELECTION + "; either the propensity or the outcome model is right", "propensities come near 0 or 1",
        "Robins, Rotnitzky & Zhao 1994; Chernozhukov et al. 2018",
        {"clip": Option(0.01, float, "propensities are held inside [clip, 1 - clip] and the clipped counted")},
        streams=True,
    ),
    Estimator(
        "tvce", "selection_on_observables.tvce:tvce", "Double machine learning, partially linear",
        ("outcome", "treatment", "covariates"), "any", ("ATE",),
        _SELECTION + "; one effect for all, or read as a variance-weighted average",
        "the effect varies with the propensity and its average is what matters",
        "Chernozhukov et al. 2018",
        {"learner": Option("linear", ("linear", "lasso", "boosting", "best"), "best: the smallest out-of-fold loss"),
         "covariates": _COVARIATES},
        streams=True,
    ),
    Estimator(
        "counterfactual", "selection_on_observables.counterfactual:counterfactual", "Three counterfactual systems",
        ("outcome", "treatment", "covariates"), "binary", ("ATE",),
        _SELECTION + "; an outcome system is right", "arms differ so much that the systems extrapolate",
        "CQOx",
        {"bootstrap": Option(200, int, "draws behind the intervals")},
        weights=False, streams=True,
    ),
    Estimator(
        "iv", "instruments.iv:iv", "Instrumental variables",
        ("outcome", "treatment", "instruments"), "any", ("LATE",),
        "the instrument moves the treatment, is as good as random, and acts on the outcome through it alone",
        "the instrument is weak: read the Anderson-Rubin set", "Angrist & Pischke 2009",
        {"method": Option("2sls", ("2sls", "liml", "gmm"), "two-step efficient GMM"),
         "variance": Option("robust", ("classical", "robust"), "robust is HC1; a declared cluster overrides"),
         "instruments": Option(None, (list, tuple), "columns in place of the study's instruments"),
         "covariates": _COVARIATES},
        weights=False, streams=True,
    ),
    Estimator(
        "rd", "discontinuity.rd:rd", "Regression discontinuity",
        ("outcome", "running", "cutoff"), None, ("LATE",),
        "units cannot choose their side of the cutoff exactly; outcomes are smooth there",
        "the running variable is manipulated: see the density gate", "Calonico, Cattaneo & Titiunik 2014",
        {"order": Option(1, (1, 2), "degree of the local polynomial"),
         "kernel": Option("triangular", ("triangular", "epanechnikov", "uniform"), "weights inside the bandwidth"),
         "bandwidth": Option(None, float, "in units of the running variable; default MSE-optimal"),
         "treatment": Option("declared", ("declared", "side"),
                              "side: what begins at the cutoff, whatever treatment the study declares"),
         "donut": Option(0.0, float, "units closer to the cutoff than this are left out"),
         "covariates": _COVARIATES},
        weights=False, streams=True,
    ),
    Estimator(
        "did", "panel.did:did", "Staggered difference-in-differences",
        ("outcome", "unit", "time", "cohort"), None, ("ATT",),
        "without treatment, cohorts would have moved in parallel (given the covariates); no anticipation",
        "trends differ before treatment: see the joint pre-trends gate", "Callaway & Sant'Anna 2021",
        {"control_group": Option("never_treated", ("never_treated", "not_yet_treated"), "who stands for no treatment"),
         "method": Option("dr", ("dr", "reg", "ipw"), "how covariates enter"),
         "covariates": _COVARIATES,
         "bootstrap": Option(1000, int, "multiplier draws behind the simultaneous band")},
        weights=False, streams=True, reads="panel",
    ),
    Estimator(
        "synthetic_control", "panel.synthetic_control:synthetic_control", "Synthetic control",
        ("outcome", "unit", "time", "cohort"), None, ("ATT",),
        "a weighted average of donors would have followed the treated unit", "the pre-period fit is poor",
        "Abadie, Diamond & Hainmueller 2010",
        {"placebo_rmspe_multiple": Option(None, float, "placebos fitted worse than this multiple are left out")},
        weights=False, clusters=False, reads="panel",
    ),
    Estimator(
        "transportability", "transport.transportability:transportability", "Transportability",
        ("sample", "outcome", "treatment", "covariates"), "binary", ("ATE",),
        "the covariates hold all that moves the effect and differs between study and target; the study is sound",
        "the target has people whom the study could not have had", "Dahabreh et al. 2020",
        {"covariates": _COVARIATES}, reads="populations",
    ),
    Estimator(
        "its", "panel.its:its", "Interrupted time series",
        ("outcome", "time", "intervention_time"), None, ("ATT",),
        "without the intervention the series would have kept its trend; nothing else happened at that date",
        "something else changed at the same time, or people reacted before it",
        "Wagner et al. 2002; Bernal et al. 2017",
        {"family": Option("gaussian", ("gaussian", "poisson"), "poisson: counts, with the role exposure as offset"),
         "slope": Option(True, (True, False), "whether the trend may change too"),
         "harmonics": Option(0, int, "pairs of sine and cosine for the seasons"),
         "season": Option(12.0, float, "length of the year, in periods"),
         "variance": Option("robust", ("robust", "newey_west", "model"),
                            "robust: autoregressive errors, quasi-Poisson; model: HC1, Poisson"),
         "lag": Option(None, int, "of Newey-West; default 4 (T / 100)^(2/9)")},
        reads="panel",
    ),
    Estimator(
        "mediation", "mechanisms.mediation:mediation", "Causal mediation",
        ("outcome", "treatment", "mediator"), "any", ("ACME", "ADE", "TOTAL"),
        "given the covariates no unmeasured cause of treatment and outcome or mediator, nor of mediator and outcome; "
        "both models are right",
        "something that the treatment moved causes both mediator and outcome, or rho near 0 undoes the ACME",
        "Baron & Kenny 1986; Imai, Keele & Tingley 2010",
        {"mediator_model": Option("auto", ("auto", "linear", "probit", "logit"), "auto: probit for zeros and ones"),
         "outcome_model": Option("auto", ("auto", "linear", "probit", "logit"), "auto: probit for zeros and ones"),
         "interaction": Option(False, (True, False), "whether the mediator acts otherwise under treatment"),
         "inference": Option("quasi_bayesian", ("quasi_bayesian", "bootstrap", "delta"), "where intervals come from"),
         "variance": Option("robust", ("robust", "model"), "robust: sandwich, covariates drawn; model: as R's mediate"),
         "draws": Option(1000, int, "parameter draws or resamples"),
         "low": Option(0.0, float, "treatment that is compared with `high`"),
         "high": Option(1.0, float, "treatment whose effect is told"),
         "covariates": _COVARIATES},
    ),
    Estimator(
        "network", "interference.network:network", "Interference on a network",
        ("outcome", "treatment", "edges"), "binary", ("DIRECT", "INDIRECT", "TOTAL"),
        "own and neighbours' treatments alone act on a unit, through the declared exposure; treatment is randomised, "
        "or as good as that given the covariates",
        "the network was measured after treatment or is incomplete, or effects travel further than one edge",
        "Aronow & Samii 2017",
        {"method": Option(None, ("regression", "hajek", "horvitz_thompson"),
                          "default hajek where the design is experiment or network, else regression"),
         "mapping": Option("fraction", ("fraction", "any"), "of a regression: share of neighbours treated, or any"),
         "undirected": Option(False, (True, False), "whether an edge makes neighbours of both its ends"),
         "randomisation": Option(None, ("bernoulli", "complete", "cluster"),
                                 "how treatment was drawn; default bernoulli, cluster where it never varies in one"),
         "variance": Option("network", ("network", "conservative"), "by design; conservative: Aronow and Samii's"),
         "least_probability": Option(0.01, float, "units with a rarer exposure are left out and counted"),
         "covariates": _COVARIATES},
    ),
    Estimator(
        "proximal", "proximal.proximal:proximal", "Proximal inference",
        ("outcome", "treatment", "negative_control_exposures", "negative_control_outcomes"), "any", ("ATE",),
        "the exposure proxies do not act on the outcome, treatment and exposure proxies do not act on the outcome "
        "proxies, and both see the hidden confounder; the bridge is right",
        "the proxies hardly move each other: see their F and rank",
        "Miao et al. 2018; Tchetgen Tchetgen et al. 2020",
        {"bridge": Option("linear", ("linear", "quadratic"), "quadratic: degree two with ridge, cross-fitted"),
         "variance": Option("robust", ("classical", "robust"), "robust is HC1; a declared cluster overrides"),
         "proxies": Option("tested", ("tested", "all"), "tested: as many combinations of the outcome proxies as the "
                           "rank test finds; all: refuses where it finds fewer"),
         "covariates": _COVARIATES},
    ),
    Estimator(
        "dose_response", "mechanisms.dose_response:dose_response", "Dose-response",
        ("outcome", "dose", "covariates"), None, ("DOSE_RESPONSE",),
        "no unmeasured confounding of the dose given the covariates; everybody could have had each dose asked",
        "the dose has few values, or some doses occur only with some covariates",
        "Hirano & Imbens 2004; Kennedy et al. 2017",
        {"method": Option("doubly_robust", ("doubly_robust", "gps"), "pseudo-outcomes smoothed, or quadratic in score"),
         "law": Option("auto", ("auto", "normal", "log_normal"), "of the dose given covariates; auto: the likelier"),
         "doses": Option(None, (list, tuple), "the grid; default the deciles"),
         "bandwidth": Option(None, float, "in units of the dose (of its logarithm, where that is modelled)"),
         "draws": Option(500, int, "resamples of the method gps"),
         "covariates": _COVARIATES},
    ),
    Estimator(
        "panel_matching", "panel.panel_matching:panel_matching", "Panel matching",
        ("outcome", "unit", "time", "treatment"), "binary", ("ATT",),
        "without their start, units with the same treatment history (and alike covariates) would have moved in "
        "parallel; no anticipation; no interference",
        "few units share a history: see the empty sets, or balance over the lags is poor", "Imai, Kim & Wang 2021",
        {"lags": Option(4, int, "periods of treatment history that controls share"),
         "leads": Option(4, int, "the last lead: effects are told at 0 to this many periods after the start"),
         "refinement": Option(None, ("none", "mahalanobis", "ps_match", "ps_weight"),
                              "of the matched sets; default mahalanobis with covariates, none without"),
         "matches": Option(5, int, "controls that refinement keeps; ties are all kept"),
         "lagged_outcome": Option(False, (True, False), "whether lags of the outcome are matched on too"),
         "current": Option(False, (True, False), "whether covariates of the period of the start are matched on too"),
         "listwise": Option(False, (True, False), "leave out units that lack a covariate; else indicators are matched"),
         "covariance": Option("diagonal", ("diagonal", "full"), "of the Mahalanobis distance"),
         "match_missing": Option(True, (True, False), "whether treatments missing in one period are alike"),
         "stay": Option(False, (True, False), "leave out units that change their treatment up to the last lead"),
         "variance": Option("bootstrap", ("bootstrap", "conditional", "unconditional"),
                            "units drawn with their weights; given the treatments; with the sampling of starts"),
         "bootstrap": Option(1000, int, "draws"),
         "covariates": _COVARIATES},
        weights=False, reads="panel",
    ),
    Estimator(
        "cate", "heterogeneity.cate:cate", "Heterogeneous effects",
        ("outcome", "treatment", "covariates", "effect_modifiers"), "binary", ("ATE",),
        _SELECTION + "; either the propensity or the outcome model is right",
        "propensities come near 0 or 1; groups were chosen after their effects were seen",
        "Künzel et al. 2019; Semenova & Chernozhukov 2021; Chernozhukov et al. 2020; Yadlowsky et al. 2021",
        {"learner": Option("linear", ("linear", "boosting", "best"), "base of the S, T, X and DR learners; best: both"),
         "clip": Option(0.01, float, "propensities are held inside [clip, 1 - clip] and the clipped counted")},
    ),
)  # fmt: skip

NAIVE = ("difference_in_means", "ols")

BY_NAME: dict[str, Estimator] = {e.name: e for e in ESTIMATORS}
