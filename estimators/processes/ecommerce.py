"""E-commerce: a membership that a lot offers and only some take; buying is yes or no."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .parts import POPULATION, SEED, Columns, Generated, Truth, averages, effects_of, logistic, of, variance_weighted

CUSTOMERS = 4_000
EFFECT, BY_MOBILE = 0.10, 0.06  # what membership adds to the chance to buy, and what it adds more on telephones
BANNERS = (0.0, 0.03, 0.06)  # what each of three banners adds


@dataclass(frozen=True)
class Visitors:
    """Fixed traits of n customers, each of shape (n,): visits and age (uniform, standardised), 0/1 on a telephone."""

    visits: np.ndarray
    age: np.ndarray
    mobile: np.ndarray


def visitors(rng: np.random.Generator, n: int) -> Visitors:
    """Customers."""
    edge = np.sqrt(3)
    return Visitors(rng.uniform(-edge, edge, n), rng.uniform(-edge, edge, n), (rng.random(n) < 0.6).astype(float))


def member_probability(x: Visitors) -> np.ndarray:
    """P(member | traits), always below one half: shape (n,)."""
    return logistic(-1.4 + 0.5 * x.visits + 0.3 * x.mobile)


def membership_effect(x: Visitors) -> np.ndarray:
    """Membership's effect on the chance to buy: shape (n,)."""
    return EFFECT + BY_MOBILE * x.mobile


def ecommerce(seed: int = SEED, n: int = CUSTOMERS) -> Generated:
    """Customers of a shop; one row a customer. With p = logit⁻¹(−1.4 + 0.5 visits + 0.3 mobile),

        P(bought) = 0.30 + 0.06 visits + 0.05 mobile + 0.02 age + member (0.10 + 0.06 mobile) + banner.

    - offer: a coin. Nobody is a member without it, and of those with it 2 p are: P(member | traits) is p, and the offer
      acts through membership alone. Who would take it has no other part in buying, so that comparisons given the traits
      are right as well as the instrument, which finds the effect on those who take the offer: all members are.
    - banner: one of three by lot with equal, logged probabilities; they add 0, 0.03 and 0.06.

    Parameters
    ----------
    seed : int
    n : int
        Customers.
    """
    rng = np.random.default_rng(seed)
    x = visitors(rng, n)
    offer = (rng.random(n) < 0.5).astype(float)
    member = offer * (rng.random(n) < 2 * member_probability(x))
    banner = rng.integers(0, len(BANNERS), n)
    chance = 0.30 + 0.06 * x.visits + 0.05 * x.mobile + 0.02 * x.age
    chance = chance + member * membership_effect(x) + np.array(BANNERS)[banner]
    units: Columns = {
        "customer_id": np.arange(1, n + 1), "visits": x.visits, "age": x.age, "mobile": x.mobile,
        "offer": offer, "member": member, "banner": banner, "banner_probability": np.full(n, 1 / len(BANNERS)),
        "bought": (rng.random(n) < chance).astype(float),
    }  # fmt: skip
    return Generated(units, ecommerce_truths())


def ecommerce_truths(seed: int = SEED) -> tuple[Truth, ...]:
    """The truths of `ecommerce`, as means over two million customers."""
    x = visitors(np.random.default_rng(seed + 1), POPULATION)
    p, effect = member_probability(x), membership_effect(x)
    effects = averages(p, effect)
    mean = "mean over the population of 0.10 + 0.06 mobile"
    takers = "mean effect of those who take the offer: without it nobody is a member"
    weighted = variance_weighted([x.visits, x.age, x.mobile], p, effect)
    best = 0.30 + 0.05 * x.mobile.mean() + float((p * effect).mean()) + max(BANNERS)
    logged = best - max(BANNERS) + float(np.mean(BANNERS))
    third = "mean chance to buy under the third banner"
    return (
        *effects_of(effects, mean),
        *(of("policy_value", "policy_value", best, third, term) for term in ("overall", "ips", "snips", "dr")),
        of("policy_value", "policy_value", logged, "mean chance to buy under the three banners", "logged"),
        of("policy_value", "policy_value", best - logged, "0.06 less the banners' mean", "gain"),
        of("tvce", "ATE", weighted, "mean effect, weighted by what a linear model leaves of membership"),
        of("iv", "LATE", effects["ATT"], takers),
        of("iivm", "LATE", effects["ATT"], takers),
    )
