"""Interactive instrumental variables: the effect on compliers, doubly robust in the instrument."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import Refusal
from ..estimates import made
from ..inference import covariance, effective_sample_size
from ..laws import normal_quantile
from ..learned import Target, predict
from ..problem import Problem
from ..repeated import over_splits
from ..result import Diagnostic, Estimate, Result, number
from ..sample import check_arms, counts
from ..selection_on_observables.ope import check_clip
from ..thresholds import limit

LEAST = 2


@dataclass(frozen=True)
class Scores:
    """Doubly robust scores of the instrument's effect on outcome and treatment, and its propensity: shapes (n,).

    ``raw`` is the propensity before it was held inside its clip.
    """

    outcome: np.ndarray
    treatment: np.ndarray
    held: np.ndarray
    raw: np.ndarray


@dataclass(frozen=True)
class Ratio:
    """A ratio of two means b / a, and what its interval is made of.

    Attributes
    ----------
    outcome, treatment : float
        b and a: the instrument's effects on outcome and treatment.
    vcov : ndarray of shape (2, 2)
        Of (b, a).
    """

    outcome: float
    treatment: float
    vcov: np.ndarray

    @property
    def effect(self) -> float:
        """θ = b / a."""
        return self.outcome / self.treatment

    @property
    def std_error(self) -> float:
        """By the influence values (ψ_b − θ ψ_a) / a."""
        c = np.array([1.0, -self.effect]) / self.treatment
        return float(np.sqrt(c @ self.vcov @ c))

    @property
    def strength(self) -> float:
        """F of the first stage: (a / its standard error)²."""
        return float(self.treatment**2 / self.vcov[1, 1]) if self.vcov[1, 1] > 0 else np.inf

    def region(self, level: float = 0.95) -> tuple[float | None, float | None]:
        """All θ with (b − θ a)² within z² of its variance (Anderson & Rubin 1949); None where it is not bounded."""
        q = normal_quantile(0.5 + level / 2) ** 2
        (bb, ba), (_, aa) = self.vcov
        high, middle = self.treatment**2 - q * aa, self.outcome * self.treatment - q * ba
        if high <= 0:
            return None, None
        half = np.sqrt(max(middle**2 - high * (self.outcome**2 - q * bb), 0.0))
        return float((middle - half) / high), float((middle + half) / high)


def iivm(problem: Problem, estimand: str) -> Result:
    """LATE: the mean effect on compliers, whom a binary instrument Z moves, whatever else the effect varies with.

    θ = E[ψ_b] / E[ψ_a], with g_z = E[Y | Z = z, X], r_z = E[D | Z = z, X] and m = P(Z = 1 | X), all out of fold:
    ψ_b = g₁ − g₀ + Z (Y − g₁)/m − (1 − Z)(Y − g₀)/(1 − m), and ψ_a the same of D and r. Influence values
    (ψ_b − θ ψ_a) / E[ψ_a]; normal reference.

    Parameters
    ----------
    problem : Problem
        Options: ``learner`` of all nuisances (linear: least squares and logits), ``clip`` (m is held inside
        [clip, 1 − clip]), ``always_takers`` and ``never_takers`` (False: nobody takes the treatment with Z = 0, or
        everybody does with Z = 1, so that r₀ = 0 or r₁ = 1 is known; by default as the rows show), ``instruments`` (a
        column in place of the study's), ``covariates``. Weights enter models and means; a declared cluster assigns
        clusters to folds and sums influence values; several splits into folds give their median (`repeated`).
    estimand : str
        LATE.

    Returns
    -------
    Result
        In units of the outcome. Where the instrument hardly moves the treatment (F below 10) the row keeps the estimate
        without standard error or test, and its interval is the Anderson–Rubin set, where that is bounded. Diagnostics
        of the first split: ``first_stage_f``, ``compliers`` (their share), ``ar_low``, ``ar_high``,
        ``propensity_range`` of the instrument, ``clipped``, ``effective_sample_size``, ``split_spread``.

    Raises
    ------
    Refusal
        Several instruments, or one that is not 0 and 1; fewer than two units at one of its values; takers whom an
        option says there are none of; a nuisance that cannot be fitted. ``not_identified`` where the instrument does
        not move the treatment, or is explained by the covariates.

    References
    ----------
    Chernozhukov et al. 2018, section 5.2; Imbens & Angrist 1994; Frölich 2007.
    """
    check_arms(problem)
    name = instrument(problem)
    splits = over_splits(problem, lambda r: _of_split(problem, name, r), problem.own("learner") != "linear")
    first, found = ratio(problem, name, 0), scores(problem, name, 0)
    variance = "cluster" if problem.cluster is not None else "influence_function"
    fields = counts(problem)
    effect, std_error = float(splits.estimate[0]), float(splits.std_error[0])
    bar = limit("first_stage")
    if first.strength >= bar:
        row = made(estimand, effect, std_error, problem.reference_df(), variance_estimator=variance, **fields)
    else:
        low, high = first.region()
        reading = "the interval is the Anderson-Rubin set"
        if low is None:
            reading = "the Anderson-Rubin set is unbounded, so there is no interval"
        row = Estimate(
            estimand, estimate=number(effect), conf_low=low, conf_high=high, variance_estimator="anderson_rubin",
            status_reason=f"weak instrument: first-stage F {first.strength:.3g} is below {bar:g}; {reading}", **fields,
        )  # fmt: skip
    return Result((row,), (*_diagnostics(problem, name, first, found), *splits.diagnostics()))


def instrument(problem: Problem) -> str:
    """The one binary instrument's column."""
    names = tuple(problem.own("instruments") or problem.study.instruments)
    if len(names) != 1 or names[0] not in problem.columns:
        reason = f"iivm takes one column as instrument, and {', '.join(names)} are declared"
        raise Refusal(reason, "Name one under options: iivm: instruments")
    z = problem.columns[names[0]]
    if not set(np.unique(z).tolist()) <= {0.0, 1.0}:
        raise Refusal(f"the instrument '{names[0]}' has other values than 0 and 1", "Recode it, or read iv")
    for value in (0, 1):
        count = int(np.sum((z == value) & (problem.w > 0)))
        if count < LEAST:
            reason = f"the instrument '{names[0]}' is {value} in {count} rows and {LEAST} are needed"
            raise Refusal(reason, "Widen the population", "not_identified")
    return names[0]


def _takers(problem: Problem, z: np.ndarray) -> tuple[bool, bool]:
    """Whether there are always-takers, and never-takers."""
    out = []
    for option, value in (("always_takers", 0.0), ("never_takers", 1.0)):
        # Those of whom the instrument asks one thing, and who do the other.
        count = int(np.sum((z == value) & (problem.t != value) & (problem.w > 0)))
        if problem.own(option) is False and count:
            word = option.replace("_", "-")
            reason = f"{count} rows with the instrument at {value:g} have treatment {1 - value:g}, so there are {word}"
            raise Refusal(reason, f"Declare {option}: true, or mend the treatment")
        out.append(count > 0 if problem.own(option) is None else bool(problem.own(option)))
    return out[0], out[1]


def scores(problem: Problem, name: str, repeat: int) -> Scores:
    """The scores of one split."""
    study, learner, terms = problem.study, problem.own("learner"), problem.covariate_terms()
    assert study.treatment is not None
    z, clip = problem.columns[name], check_clip(problem.own("clip"))
    try:
        raw = predict(problem, Target(name, is_chance=True), terms, learner, repeat).values
    except Refusal as refusal:
        if "perfectly" not in refusal.reason:
            raise
        reason = f"the covariates predict the instrument '{name}' perfectly"
        raise Refusal(reason, "Drop the covariate that defines it", "not_identified") from None
    m = np.clip(raw, clip, 1 - clip)
    g = [predict(problem, Target(study.outcome, (name, value)), terms, learner, repeat).values for value in (0.0, 1.0)]
    r = []
    for value, there_are in zip((0.0, 1.0), _takers(problem, z), strict=True):
        target = Target(study.treatment, (name, value), is_chance=True)
        known = np.full(problem.n, value)
        r.append(np.clip(predict(problem, target, terms, learner, repeat).values, 0, 1) if there_are else known)
    with np.errstate(divide="ignore", invalid="ignore"):
        psi = [
            one[1] - one[0] + z * (of - one[1]) / m - (1 - z) * (of - one[0]) / (1 - m)
            for one, of in ((g, problem.y), (r, problem.t))
        ]
    if not np.isfinite(psi).all():
        raise Refusal("a propensity of the instrument is 0 or 1", "Give a clip above 0, or drop a covariate")
    return Scores(psi[0], psi[1], m, raw)


def ratio(problem: Problem, name: str, repeat: int) -> Ratio:
    """Both means of one split and their covariance; refuses where the instrument does not move the treatment."""
    found = scores(problem, name, repeat)
    share = problem.w / problem.w.mean()
    psi = np.column_stack([found.outcome, found.treatment])
    means = np.mean(share[:, None] * psi, axis=0)
    if abs(means[1]) < 1e-10:
        reason = f"the instrument '{name}' does not move the treatment"
        raise Refusal(reason, "Find one that does", "not_identified")
    vcov = covariance(share[:, None] * (psi - means), problem.clustering(), ddof=1)
    return Ratio(float(means[0]), float(means[1]), vcov)


def _of_split(problem: Problem, name: str, repeat: int) -> tuple[np.ndarray, np.ndarray]:
    found = ratio(problem, name, repeat)
    return np.array([found.effect]), np.array([found.std_error])


def _diagnostics(problem: Problem, name: str, first: Ratio, found: Scores) -> tuple[Diagnostic, ...]:
    z = problem.columns[name]
    low, high = first.region()
    bar = limit("first_stage")
    omega = np.where(z == 1, 1 / found.held, 1 / (1 - found.held)) * problem.w
    return (
        Diagnostic("first_stage_f", name, number(first.strength), bar, first.strength >= bar),
        Diagnostic("compliers", "overall", first.treatment),
        Diagnostic("ar_low", name, low),
        Diagnostic("ar_high", name, high),
        Diagnostic("effective_sample_size", "overall", effective_sample_size(omega)),
        Diagnostic("propensity_range", "min", float(found.raw.min())),
        Diagnostic("propensity_range", "max", float(found.raw.max())),
        Diagnostic("clipped", "overall", float(np.sum(found.raw != found.held))),
    )
