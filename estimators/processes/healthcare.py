"""Healthcare: a care programme in clinics over 24 months, with every role that a study can declare."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from .parts import POPULATION, SEED, Columns, Generated, Truth, averages, effects_of, of, variance_weighted


@dataclass(frozen=True)
class Patients:
    """Fixed traits of n patients, each of shape (n,): standardised severity and age, 0/1 female, body-mass index."""

    severity: np.ndarray
    age: np.ndarray
    female: np.ndarray
    bmi: np.ndarray

    @property
    def n(self) -> int:
        """Patients."""
        return len(self.severity)


# The healthcare process: months, the month of the reform, clinics, and the size of each effect on the health score.
MONTHS, REFORM, CLINICS, PATIENTS, TARGET = 24, 17, 60, 5_000, 1_500
STAY = 0.8  # chance that a patient's enrolment is not drawn anew in a month
DIRECT, BY_SEVERITY, BY_FEMALE = 1.2, 0.4, 0.5  # enrolment's direct effect, and how it varies
TO_MEDIATOR, FROM_MEDIATOR = 0.8, 0.5  # enrolment on adherence, adherence on health
SUBSIDY, ADOPTION, NATIONAL, NATIONAL_SLOPE = 1.5, 0.9, 0.6, 0.05
SPILLOVER = 0.7  # all neighbours enrolled instead of none
ARMS = (0.0, 0.4, 0.9)  # reminder by letter, telephone, visit
TREND = 0.03


def traits(rng: np.random.Generator, n: int, shift: float = 0.0) -> Patients:
    """Patients; ``shift`` moves severity and age (a target population that is sicker and older)."""
    severity, age = rng.normal(shift, 1, n), rng.normal(shift, 1, n)
    return Patients(severity, age, (rng.random(n) < 0.5).astype(float), rng.normal(27, 4, n))


def enrolment_probability(x: Patients) -> np.ndarray:
    """P(enrolled | traits): shape (n,)."""
    return 1 / (1 + np.exp(-(-0.2 + 0.5 * x.severity + 0.3 * x.age - 0.3 * x.female)))


def direct_effect(x: Patients) -> np.ndarray:
    """Enrolment's effect that does not pass through adherence: shape (n,)."""
    return DIRECT + BY_SEVERITY * x.severity + BY_FEMALE * x.female


def dose_effect(dose: np.ndarray) -> np.ndarray:
    """Health gained by hours of physiotherapy: rises to six hours and falls after."""
    return 0.6 * dose - 0.05 * dose**2


def healthcare(seed: int = SEED, n: int = PATIENTS) -> Generated:
    """Patients in clinics over 24 months, with every role that a study can declare.

    Rows are patients and months; estimators that want one row a unit read the last month. The outcome is

        health = α_i + c_clinic + λ_t + 0.8 age − 1.0 severity + 0.05 (bmi − 27)
                 + enrolled (1.2 + 0.4 severity + 0.5 female) + 0.5 adherence     enrolment, in part through adherence
                 + 0.9 (clinic adopted by t) + 0.6 (t ≥ 17) + 0.05 (t − 17)₊      reform: adopting clinics, and all
                 + 1.5 (lab ≥ 0) + 0.8 lab + physiotherapy(dose) + reminder(arm)
                 + 0.7 share of enrolled neighbours + frailty + noise,

    and each part meets the assumptions of the method that reads it:

    - enrolled: drawn anew with chance 0.2 a month, with probability p = logit⁻¹(−0.2 + 0.5 severity + 0.3 age −
      0.3 female) that covariates explain; the letter (a coin) moves p by half of min(p, 1 − p) up or down, so that
      P(enrolled | traits) is exactly p, and acts on health through enrolment alone (ipw, ope, iv …).
    - adherence (mediator) = 0.8 enrolled + 0.3 severity + noise.
    - physiotherapy hours (dose) depend on body-mass index, which does not move enrolment.
    - lab (running variable) is independent of all else; patients with lab ≥ 0 get a subsidy.
    - cohort: 20 of the 60 clinics adopt in month 17. They are the frailer ones (c is lower), which differences remove.
    - month 17 also raises health everywhere by 0.6, and by 0.05 a month from then on (its: the trend is linear else).
    - frailty is hidden. It moves health and four proxies (two that do not act on health, two that enrolment does not
      act on), but not enrolment: with it unseen the other methods are still right (proximal).
    - friends: about four in the same clinic, whatever their traits (network).
    - reminder arm: drawn with logged probabilities that depend on severity (off-policy evaluation).
    - sample 0: 1,500 sicker and older people of the target population, traits only (transportability).

    Parameters
    ----------
    seed : int
    n : int
        Patients of the study.
    """
    rng = np.random.default_rng(seed)
    x, clinic = traits(rng, n), np.sort(rng.integers(0, CLINICS, n))
    adopts = np.arange(CLINICS) % 3 == 0
    clinic_effect = rng.normal(0, 0.4, CLINICS) - 0.5 * adopts
    letter = (rng.random(n) < 0.5).astype(float)
    enrolled = _enrolment(rng, enrolment_probability(x), letter)
    edges = _friends(rng, clinic)
    frailty = rng.normal(size=n)
    lab, dose = rng.normal(size=n), np.maximum(4 + 0.15 * (x.bmi - 27) + rng.normal(0, 1.2, n), 0.1)
    chances = _arm_chances(x)
    arm = (rng.random(n)[:, None] > np.cumsum(chances, axis=1)).sum(axis=1)
    level = rng.normal(0, 0.5, n) + clinic_effect[clinic] + 0.8 * x.age - 1.0 * x.severity + 0.05 * (x.bmi - 27)
    level = level + SUBSIDY * (lab >= 0) + 0.8 * lab + dose_effect(dose) + np.array(ARMS)[arm] + 0.8 * frailty
    month = np.arange(1, MONTHS + 1)
    adherence = TO_MEDIATOR * enrolled + 0.3 * x.severity[:, None] + rng.normal(size=(n, MONTHS))
    common = TREND * month + (month >= REFORM) * (NATIONAL + NATIONAL_SLOPE * (month - REFORM))
    health = level[:, None] + common + direct_effect(x)[:, None] * enrolled + FROM_MEDIATOR * adherence
    health += ADOPTION * (adopts[clinic][:, None] & (month >= REFORM))
    health += SPILLOVER * _share_of_friends(edges, enrolled) + rng.normal(size=(n, MONTHS))
    fixed = {
        "patient_id": np.arange(1, n + 1), "clinic": clinic + 1, **_named(x), "letter": letter,
        "lab": lab, "dose": dose, "arm": arm.astype(float), "arm_probability": chances[np.arange(n), arm],
        "cohort": np.where(adopts[clinic], REFORM, 0).astype(float), "in_study": np.ones(n),
        "proxy_exposure_1": frailty + rng.normal(0, 0.6, n), "proxy_exposure_2": frailty + rng.normal(0, 0.8, n),
        "proxy_outcome_1": frailty + rng.normal(0, 0.6, n), "proxy_outcome_2": 0.7 * frailty + rng.normal(0, 0.7, n),
    }  # fmt: skip
    rows = {name: np.repeat(values, MONTHS) for name, values in fixed.items()}
    rows |= {"month": np.tile(month, n).astype(float), "enrolled": enrolled.ravel()}
    rows |= {"adherence": adherence.ravel(), "health": health.ravel()}
    friends = {name: values + 1 for name, values in edges.items()}
    return Generated(_with_target(rng, rows, n), healthcare_truths(), friends)


def _named(x: Patients) -> Columns:
    return {"severity": x.severity, "age": x.age, "female": x.female, "bmi": x.bmi}


def _enrolment(rng: np.random.Generator, p: np.ndarray, letter: np.ndarray) -> np.ndarray:
    """Enrolment in each month: shape (n, months); its chance is the same in every month."""
    chance = p + np.minimum(p, 1 - p) * (letter - 0.5)
    out = np.empty((len(p), MONTHS))
    for t in range(MONTHS):
        drawn = rng.random(len(p)) < chance
        stays = rng.random(len(p)) < STAY
        out[:, t] = drawn if t == 0 else np.where(stays, out[:, t - 1], drawn)
    return out


def _arm_chances(x: Patients) -> np.ndarray:
    """Logged probabilities of letter, telephone and visit: shape (n, 3)."""
    scores = np.exp(np.column_stack([np.zeros(x.n), 0.3 * x.severity, 0.6 * x.severity - 0.3]))
    return scores / scores.sum(axis=1, keepdims=True)


def _friends(rng: np.random.Generator, clinic: np.ndarray) -> Columns:
    """Undirected friendships inside clinics, about four a patient, each once: places of the two patients."""
    sources, targets = [], []
    for c in np.unique(clinic):
        inside = np.flatnonzero(clinic == c)
        pairs = np.column_stack(np.triu_indices(len(inside), 1))
        chosen = pairs[rng.random(len(pairs)) < min(1.0, 4 / max(len(inside) - 1, 1))]
        sources.append(inside[chosen[:, 0]])
        targets.append(inside[chosen[:, 1]])
    return {"source": np.concatenate(sources), "target": np.concatenate(targets)}


def _share_of_friends(edges: Columns, enrolled: np.ndarray) -> np.ndarray:
    """Share of each patient's friends that are enrolled, 0 without friends: shape (n, months)."""
    total, count = np.zeros(enrolled.shape), np.zeros((len(enrolled), 1))
    for a, b in ((edges["source"], edges["target"]), (edges["target"], edges["source"])):
        np.add.at(total, a, enrolled[b])
        np.add.at(count, a, 1.0)
    return total / np.maximum(count, 1.0)


def _with_target(rng: np.random.Generator, rows: Columns, n: int) -> Columns:
    """The rows, and those of the target population: traits in the last month, and NaN for what is not known of them."""
    known = {
        "patient_id": np.arange(n + 1, n + TARGET + 1), "clinic": np.zeros(TARGET), "in_study": np.zeros(TARGET),
        "month": np.full(TARGET, float(MONTHS)), **_named(traits(rng, TARGET, shift=0.6)),
    }  # fmt: skip
    unknown = np.full(TARGET, np.nan)
    return {name: np.concatenate([values, known.get(name, unknown)]) for name, values in rows.items()}


def healthcare_truths(seed: int = SEED) -> tuple[Truth, ...]:
    """The truths of `healthcare`, as means over two million patients where they are no plain sums."""
    x = traits(np.random.default_rng(seed + 1), POPULATION)
    p, direct, indirect = enrolment_probability(x), direct_effect(x), TO_MEDIATOR * FROM_MEDIATOR
    total, compliers = direct + indirect, np.minimum(p, 1 - p)
    effects, weighted = averages(p, total), partial(variance_weighted, [x.severity, x.age, x.female, x.bmi - 27], p)
    target = float(direct_effect(traits(np.random.default_rng(seed + 2), POPULATION, 0.6)).mean()) + indirect
    out = [
        *effects_of(effects, _MEAN),
        of("tvce", "ATE", weighted(total), _PROJECTED),
        of("proximal", "ATE", weighted(total), _PROJECTED + "; frailty does not move enrolment"),
        of("iv", "LATE", float(compliers @ total / compliers.sum()), "mean effect of those whom the letter moves"),
        of("mediation", "ACME", indirect, "0.8 on adherence times 0.5 from it"),
        of("mediation", "ADE", weighted(direct), _PROJECTED),
        of("mediation", "TOTAL", weighted(direct) + indirect, _PROJECTED),
        of("iivm", "LATE", float(compliers @ total / compliers.sum()), "mean effect of those whom the letter moves"),
        of("rd", "LATE", SUBSIDY, "the jump at lab = 0"),
        of("did", "ATT", ADOPTION, "adoption's effect, the same in every month"),
        of("synthetic_control", "ATT", ADOPTION, "adoption's effect, the same in every month"),
        of("synthetic_did", "ATT", ADOPTION, "adoption's effect, the same in every month"),
        of("twfe", "ATT", ADOPTION, "adoption's effect, the same in every month and clinic"),
        of("its", "ATT", NATIONAL + ADOPTION / 3, "0.6 everywhere and 0.9 in every third clinic", "level_change"),
        of("its", "ATT", NATIONAL_SLOPE, "from month 17 on", "slope_change"),
        of("transportability", "ATE", target, "mean effect where severity is 0.6 higher"),
        of("network", "INDIRECT", SPILLOVER, "all neighbours enrolled instead of none"),
        of("panel_matching", "ATT", effects["ATO"], "mean effect of those who enrol: p (1 − p) of each kind", "lead=0"),
    ]
    return tuple(out)


_MEAN = "mean over the population of enrolment's direct effect and 0.4 through adherence"
_PROJECTED = "mean effect, weighted by what a linear model leaves of enrolment"
