"""Finance: a bank's app, adopted in waves; heavy-tailed spending, and a credit limit that a score decides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .parts import POPULATION, SEED, Columns, Generated, Truth, effects_of, logistic, of

QUARTERS, COHORTS, CUSTOMERS = 10, (4, 6, 8), 2_500
AT_START, PER_QUARTER = 0.5, 0.1  # the app's effect in its first quarter, and what each further one adds
LIMIT, CUTOFF = 1.5, 640.0  # what the higher credit limit adds to spending, and the credit score from which it is given


@dataclass(frozen=True)
class Customers:
    """Fixed traits of n customers, each of shape (n,), all standardised."""

    income: np.ndarray
    age: np.ndarray
    tenure: np.ndarray


def customers(rng: np.random.Generator, n: int) -> Customers:
    """Customers."""
    return Customers(*(rng.normal(size=n) for _ in range(3)))


def adoption_probability(x: Customers) -> np.ndarray:
    """P(ever adopts | traits): shape (n,)."""
    return logistic(-0.2 + 0.5 * x.income - 0.4 * x.tenure)


def app_effect(quarters: np.ndarray) -> np.ndarray:
    """Spending that the app adds so many quarters after its adoption (0 is the first): shape of ``quarters``."""
    return AT_START + PER_QUARTER * quarters


def finance(seed: int = SEED, n: int = CUSTOMERS) -> Generated:
    """Customers over ten quarters; one row a customer and quarter. Spending, in thousands of dollars, is

        spending = α_i + 0.05 t + 0.6 income + 0.3 age + app (0.5 + 0.1 quarters since adoption)
                   + 1.5 (credit score ≥ 640) + 0.004 (credit score − 640) + noise.

    - The noise is Student's t with three degrees of freedom: finite variance, no fourth moment.
    - app: adopted in quarter 4, 6 or 8 or never. Income and tenure move whether, a lot decides when. Adopters' spending
      differs in level and not in trend, so differences in differences are right; and in one quarter they differ from
      others in income and tenure alone, so comparisons given those are right, too.
    - The effect grows, so that two-way fixed effects, which take early adopters for controls of late ones, are wrong.
    - The credit score is independent of all else; from 640 on, the limit is higher in every quarter.

    Parameters
    ----------
    seed : int
    n : int
        Customers.
    """
    rng = np.random.default_rng(seed)
    x = customers(rng, n)
    adopts = rng.random(n) < adoption_probability(x)
    cohort = np.where(adopts, rng.choice(COHORTS, n), 0)
    score, quarter = rng.normal(CUTOFF, 60, n), np.arange(1, QUARTERS + 1)
    level = rng.normal(0, 0.7, n) + 0.6 * x.income + 0.3 * x.age
    level = level + LIMIT * (score >= CUTOFF) + 0.004 * (score - CUTOFF)
    app = adopts[:, None] & (quarter >= cohort[:, None])
    spending = level[:, None] + 0.05 * quarter + app * app_effect(quarter - cohort[:, None])
    spending = spending + rng.standard_t(3, (n, QUARTERS))
    fixed = {
        "customer_id": np.arange(1, n + 1), "income": x.income, "age": x.age, "tenure": x.tenure,
        "credit_score": score, "cohort": cohort.astype(float),
    }  # fmt: skip
    units: Columns = {name: np.repeat(values, QUARTERS) for name, values in fixed.items()}
    units |= {"quarter": np.tile(quarter, n), "app": app.ravel().astype(float), "spending": spending.ravel()}
    return Generated(units, finance_truths())


def two_way_fixed_effects(share: float) -> float:
    """What levels of customers and quarters leave of the effects: Σ D̃ D τ / Σ D̃ D, D̃ the app less both levels.

    Parameters
    ----------
    share : float
        Of customers that ever adopt; each cohort is a third of them.
    """
    cohort, quarter = np.array([*COHORTS, QUARTERS + 1])[:, None], np.arange(1, QUARTERS + 1)
    weight = np.array([share / len(COHORTS)] * len(COHORTS) + [1 - share])[:, None]
    app = (quarter >= cohort).astype(float)
    by_quarter = (weight * app).sum(axis=0)
    left = weight * (app - app.mean(axis=1, keepdims=True) - by_quarter + by_quarter.mean())
    return float((left * app * app_effect(quarter - cohort)).sum() / (left * app).sum())


def finance_truths(seed: int = SEED) -> tuple[Truth, ...]:
    """The truths of `finance`; adopters choose each cohort with the same chance."""
    share = float(adoption_probability(customers(np.random.default_rng(seed + 1), POPULATION)).mean())
    paths = {g: app_effect(np.arange(QUARTERS - g + 1)) for g in COHORTS}
    last = float(np.mean([path[-1] for path in paths.values()]))
    by_quarter = [np.mean([paths[g][t - g] for g in COHORTS if g <= t]) for t in range(min(COHORTS), QUARTERS + 1)]
    longest, by_cohort = max(paths.values(), key=len), np.mean([path.mean() for path in paths.values()])
    late = "mean effect in the last quarter: adopters of quarters 4, 6 and 8 have had it for 6, 4 and 2 quarters"
    out = [
        *effects_of({"ATE": last, "ATT": last, "ATO": last}, late),
        of("tvce", "ATE", last, late),
        of("did", "ATT", np.concatenate(list(paths.values())).mean(), "mean over cohorts and their treated quarters"),
        of("did", "ATT", by_cohort, "mean over cohorts of their means", "group"),
        of("did", "ATT", longest.mean(), "mean over quarters since adoption", "dynamic"),
        of("did", "ATT", np.mean(by_quarter), "mean over quarters of those treated by then", "calendar"),
        of("twfe", "ATT", two_way_fixed_effects(share), "its own weights, some of them for a later cohort's controls"),
        of("rd", "LATE", LIMIT, "the jump at a credit score of 640"),
    ]
    before = max(COHORTS) - 2  # did holds quarters before adoption against the one before: -1 compares -1 with -2
    out += [of("did", "ATT", 0.0, "nobody has the app yet", f"event_time={-e}") for e in range(1, before + 1)]
    out += [of("did", "ATT", v, "0.5 + 0.1 a quarter", f"event_time={e}") for e, v in enumerate(longest)]
    out += [of("panel_matching", "ATT", v, "0.5 + 0.1 a quarter", f"lead={e}") for e, v in enumerate(longest[:2])]
    return tuple(out)
