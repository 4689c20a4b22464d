"""Whether trends ran in parallel before treatment, and whether the test could have told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import Refusal
from ..inference import joint_wald
from ..laws import (
    chi2_quantile,
    chi2_tail,
    f_quantile,
    f_tail,
    noncentral_chi2_tail,
    noncentral_f_tail,
    noncentral_f_tail_at,
    noncentrality,
)
from .att_gt import Comparison, GroupTime, comparisons
from .innovations import innovations
from .limit import clustered_draws, limit_size, wald_draws
from .randomisation import arrangements, randomised
from .sample import Compared, Sample

if TYPE_CHECKING:
    from ..problem import Problem
    from ..streamed.problem import Streamed

LEVEL = 0.05
POWER = 0.8
DRAWS = 999
# The limit is used where it would reject true trends in at most so many of 100 studies of the same sizes.
LIMIT_SIZE = 0.06
# Randomisation holds paths in memory, of streamed studies too: so many units or clusters, and 16 MiB of numbers.
MOST_RANDOMISED, MOST_NUMBERS = 2_000, 2**21
# Wald statistics are drawn for the sizes of large studies with small cohorts up to so many effects.
MOST_DRAWN = 200


@dataclass(frozen=True)
class PreTrends:
    """The joint test that every pre-period ATT(g, t) is zero.

    Attributes
    ----------
    statistic, p_value : float
    degrees_of_freedom : int
        Effects before treatment that vary.
    power : float
        Chance of rejecting at 5 % if every pre-period step were ``step``.
    step : float
        In units of the outcome a period.
    detectable : float
        The smallest step that the test rejects with 80 % power.
    reference : str
        What the statistic is held against, in words.
    """

    statistic: float
    degrees_of_freedom: int
    p_value: float
    power: float
    step: float
    detectable: float
    reference: str


@dataclass(frozen=True)
class Setting:
    """How a run of `did` compares, the study's seed, the step a period whose power is told, and random draws."""

    control_group: str
    method: str
    link: str
    seed: int
    step: float
    draws: int = DRAWS


@dataclass(frozen=True)
class Arms:
    """What there is to exchange.

    Attributes
    ----------
    sizes : mapping of cohort to number
        Units, or clusters, of each cohort in ascending order.
    noun : str
        ``units`` or ``clusters``.
    n_cutting : int
        Clusters with units of several cohorts; they cannot be exchanged.
    numbers : int
        Units times periods times one and the covariates.
    counts : ndarray of shape (G, C), or None
        Units of each cohort in each cluster; None but where clusters cut, and there are at most 2,000.
    """

    sizes: Mapping[float, int]
    noun: str
    n_cutting: int
    numbers: int
    counts: np.ndarray | None = None

    @property
    def can_move(self) -> bool:
        """Whether paths are held in memory to be exchanged."""
        few = sum(self.sizes.values()) <= MOST_RANDOMISED and self.numbers <= MOST_NUMBERS
        return few and not self.n_cutting

    @classmethod
    def of(cls, sample: Sample) -> Arms:
        """Of units in memory."""
        numbers = sample.y.size * (1 + sample.x.shape[2])
        if sample.cluster is None:
            return cls(sample.sizes, "units", 0, numbers)
        codes = sample.cluster.codes
        table = np.zeros((int(codes.max()) + 1, len(sample.sizes)), dtype=np.int64)
        np.add.at(table, (codes, np.unique(sample.cohort, return_inverse=True)[1]), 1)
        return cls.of_clusters(list(sample.sizes), table, numbers)

    @classmethod
    def of_clusters(cls, cohorts: Sequence[float], table: np.ndarray, numbers: int) -> Arms:
        """Of the units of each cohort in each cluster: shape (G, C)."""
        has = table > 0
        sizes = dict(zip(cohorts, has.sum(axis=0).tolist(), strict=True))
        cutting = int((has.sum(axis=1) > 1).sum())
        # In the order of their contents, so that nothing hangs on the order of rows.
        counts = table[np.lexsort(table.T)] if cutting and len(table) <= MOST_RANDOMISED else None
        return cls(sizes, "clusters", cutting, numbers, counts)


def setting_of(problem: Problem | Streamed) -> Setting:
    """What a run of ``did`` tells the test."""
    own, study = problem.own, problem.study
    step = abs(study.decision.minimum_effect)
    return Setting(own("control_group"), own("method"), problem.options.propensity.link, study.seed, step)


def sample_test(effects: GroupTime, sample: Sample, setting: Setting) -> PreTrends | None:
    """`pre_trends` of units in memory."""
    sample = sample.plain()
    treated, group = sample.treated_cohorts, setting.control_group
    found, _ = comparisons(sample.periods, treated, sample.sizes, group, pre_only=True)
    return pre_trends(effects, sample, setting, Arms.of(sample), sample, found)


def tried(test: Callable[[], PreTrends | None]) -> PreTrends | None:
    """The test for an estimator's diagnostics: without one its rows have no value, and the gate tells the reason."""
    try:
        return test()
    except Refusal:
        return None


def needs_paths(arms: Arms, periods: np.ndarray, treated: Sequence[float], control_group: str) -> bool:
    """Whether the test of such a study exchanges paths, so that a streamed one has to gather them."""
    found, _ = comparisons(periods, treated, arms.sizes, control_group, pre_only=True)
    return bool(found) and arms.can_move and limit_size(found, arms.sizes, LEVEL) > LIMIT_SIZE


def pre_trends(
    effects: GroupTime, compared: Compared, setting: Setting, arms: Arms, sample: Sample | None,
    found: Sequence[Comparison],
) -> PreTrends | None:  # fmt: skip
    """W = b' V⁻¹ b over all ATT(g, t) with t < g, and its power against a linear differential trend.

    W is asymptotically χ² with as many degrees of freedom as effects vary, but with few units an effect it is far
    larger: 18 effects of 48 units reject true parallel trends nearly always. So, in this order:

    - where a W of cohorts of these sizes with normal outcomes would exceed the χ² bar in at most 6 of 100 studies
      (`limit.limit_size`): the χ²;
    - up to 2,000 units (clusters that hold one cohort each): randomisation of the innovations of the steps over cohorts
      (`randomisation.randomised`), with its own studentised statistic, 999 draws, the study's seed;
    - else: W against 999 draws of W for normal outcomes in cohorts of these sizes (`limit.wald_draws`; where clusters
      hold several cohorts `limit.clustered_draws`), whose law hangs on the sizes alone; above 200 effects Hotelling's
      F with the smallest cohort's degrees of freedom.

    With a varying base period each pre-period ATT is one step of the trend, so a linear trend of ``step`` a period
    makes all of them ``step`` (Roth 2022 gives the reason to look). For W the power is that of the noncentral law with
    λ = step² 1'V⁻1; for the randomisation it is the share of draws that are rejected once the trend is added.

    Parameters
    ----------
    effects : GroupTime
    compared : Compared
        Gives V.
    setting : Setting
    arms : Arms
    sample : Sample or None
        The units' paths; None only where `needs_paths` is false.
    found : sequence of Comparison
        Those before treatment, in the order of ``effects.before()``.

    Returns
    -------
    PreTrends or None
        None where there is no pre-period effect (one period before treatment) or none of them varies.

    Raises
    ------
    Refusal
        With status ``not_identified`` where so few units (clusters) can never reject at 5 %.
    """
    pre = effects.before()
    if not pre.cells:
        return None
    vcov, step = compared.covariance(pre.psi), setting.step
    if arms.n_cutting and (compared.n_clusters or 0) <= len(found):
        reason = (
            f"parallel trends cannot be tested with {compared.n_clusters} clusters: there are {len(found)} effects "
        )
        reason += "before treatment, and clusters that hold several cohorts cannot be drawn anew"
        raise Refusal(reason, "Use longer periods, or cluster lower", "not_identified")
    if arms.counts is None and limit_size(found, arms.sizes, LEVEL) <= LIMIT_SIZE:
        return _limit(pre.att, vcov, step)
    if arms.can_move:
        assert sample is not None
        return _randomised(sample, setting, arms, found)
    smallest = min(arms.sizes[g] for one in found for g in (one.cohort, *one.controls))
    if len(found) > MOST_DRAWN:
        told = f"the smallest cohort has {smallest} {arms.noun}"
        return _hotelling(pre.att, vcov, step, smallest - 1, told, arms.noun)
    if arms.counts is None:
        drawn = wald_draws(found, arms.sizes, setting.seed, setting.draws, arms.noun == "clusters")
    else:
        drawn = clustered_draws(found, list(arms.sizes), arms.counts, setting.seed, setting.draws)
    return _against(pre.att, vcov, step, drawn, smallest, arms.noun)


def _limit(att: np.ndarray, vcov: np.ndarray, step: float) -> PreTrends | None:
    test = joint_wald(att, vcov)
    df = test.degrees_of_freedom
    if df == 0:
        return None
    bar = chi2_quantile(1 - LEVEL, df)
    power, detectable = _of_chi2(vcov, step, bar, df)
    return PreTrends(test.statistic, df, test.p_value, power, step, detectable, f"χ² with {df} degrees of freedom")


def _of_chi2(vcov: np.ndarray, step: float, bar: float, df: int) -> tuple[float, float]:
    """Power against ``step`` and the step with 80 % power, of a W that is noncentral χ² and rejected above ``bar``."""
    per_step = joint_wald(np.ones(len(vcov)), vcov).statistic
    shift = per_step * step**2
    power = noncentral_chi2_tail(bar, df, shift) if shift > 0 else chi2_tail(bar, df)
    return power, float(np.sqrt(noncentrality(bar, df, POWER) / per_step))


def _against(
    att: np.ndarray, vcov: np.ndarray, step: float, drawn: np.ndarray, smallest: int, noun: str
) -> PreTrends | None:
    test = joint_wald(att, vcov)
    df = test.degrees_of_freedom
    if df == 0:
        return None
    p = (1 + int((drawn >= test.statistic).sum())) / (len(drawn) + 1)
    bar = float(np.quantile(drawn, 1 - LEVEL, method="higher"))
    power, detectable = _of_chi2(vcov, step, bar, df)
    reference = f"{len(drawn)} draws for normal outcomes in cohorts of these sizes, the smallest of {smallest} {noun}"
    return PreTrends(test.statistic, df, p, max(power, LEVEL), step, detectable, reference)


def _hotelling(
    att: np.ndarray, vcov: np.ndarray, step: float, freedom: int, why: str, noun: str
) -> PreTrends | None:  # fmt: skip
    """(ν − K + 1) / (ν K) W against F(K, ν − K + 1), where V has ν degrees of freedom (Hotelling 1931)."""
    test = joint_wald(att, vcov)
    k = test.degrees_of_freedom
    if k == 0:
        return None
    # A singular V of too few clusters has lost directions: the number of effects counts, not the rank.
    left = freedom - len(att) + 1
    if left < 1:
        reason = f"parallel trends cannot be tested with {freedom + 1} {noun}: {len(att)} effects before treatment, "
        raise Refusal(f"{reason}and {why}", "Use longer periods or more clusters", "not_identified")
    share = left / (freedom * k)
    bar = f_quantile(1 - LEVEL, k, left)
    per_step = joint_wald(np.ones(len(vcov)), vcov).statistic
    shift = per_step * step**2
    power = noncentral_f_tail(bar, k, left, shift) if shift > 0 else LEVEL
    detectable = float(np.sqrt(noncentral_f_tail_at(bar, k, left, POWER) / per_step))
    return PreTrends(
        test.statistic, k, f_tail(share * test.statistic, k, left), power, step, detectable,
        f"Hotelling's F with {k} and {left} degrees of freedom: {why}",
    )  # fmt: skip


def _randomised(sample: Sample, setting: Setting, arms: Arms, found: Sequence[Comparison]) -> PreTrends | None:
    given = innovations(sample, found, setting.method, setting.link)
    ways = arrangements(given.arm[given.untreated.any(axis=1)])
    if ways < 1 / LEVEL:
        sizes = ", ".join(str(size) for size in arms.sizes.values())
        reason = f"parallel trends cannot be tested with {sum(arms.sizes.values())} {arms.noun}: cohorts of {sizes}"
        reason += f" {arms.noun} can be drawn in {ways:.0f} ways, so that no p-value lies below {1 / ways:.2g}"
        raise Refusal(reason, f"Add {arms.noun}, or cluster lower", "not_identified")
    test = randomised(given, setting.seed, setting.draws, LEVEL)
    if test is None:
        return None
    reference = f"{setting.draws} random draws of {arms.noun} into cohorts of the same sizes"
    power = LEVEL if setting.step == 0 else max(test.power(setting.step), LEVEL)
    return PreTrends(
        test.statistic, len(given.step), test.p_value, power, setting.step, test.detectable(POWER), reference
    )  # fmt: skip
