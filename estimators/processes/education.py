"""Education: tutoring drawn by lot among schools; pupils' scores, of which some are missing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .parts import SEED, Columns, Generated, Truth, effects_of, of

SCHOOLS, SMALLEST, LARGEST = 80, 30, 50  # schools, and pupils of a school
DIRECT, BY_PRIOR = 2.0, 0.8  # points that tutoring adds by itself, and how they rise with the earlier score
TO_ATTENDANCE, FROM_ATTENDANCE = 4.0, 0.25  # percentage points attended more, and points of score for each
ABSENT = 0.04  # chance of having no score, for pupils of every kind


@dataclass(frozen=True)
class Pupils:
    """Fixed traits of n pupils, each of shape (n,): earlier score (standardised), 0/1 graduate parent, 0/1 girl."""

    prior: np.ndarray
    graduate: np.ndarray
    girl: np.ndarray


def education(seed: int = SEED, schools: int = SCHOOLS) -> Generated:
    """Pupils of schools of which a lot gives half the tutoring; one row a pupil.

        attendance = 85 + 4 tutored + 2 prior + noise                        per cent of lessons, the mediator
        score = 30 + (2 + 0.8 prior) tutored + 0.25 attendance
                + 4 prior + 2 graduate + girl + school + noise

    - Schools are drawn, exactly half of them, so pupils of a school share their arm and their school's part of the
      score (sd 1.2): errors that take pupils for independent are too small.
    - Earlier scores differ between schools (sd 0.3), so small samples of schools are not balanced by chance alone.
    - Four pupils in a hundred have no score; they are like the others.

    Tutoring is independent of everything, so its effect is 2 + 4 · 0.25 = 3 on all, on the tutored and under any
    weights that covariates could give.

    Parameters
    ----------
    seed : int
    schools : int
        Even.
    """
    rng = np.random.default_rng(seed)
    school = np.repeat(np.arange(schools), rng.integers(SMALLEST, LARGEST + 1, schools))
    drawn = np.zeros(schools)
    drawn[rng.permutation(schools)[: schools // 2]] = 1
    x, tutored = _pupils(rng, school, schools), drawn[school]
    n = len(school)
    attendance = 85 + TO_ATTENDANCE * tutored + 2 * x.prior + rng.normal(0, 5, n)
    score = 30 + (DIRECT + BY_PRIOR * x.prior) * tutored + FROM_ATTENDANCE * attendance
    score += 4 * x.prior + 2 * x.graduate + x.girl + rng.normal(0, 1.2, schools)[school] + rng.normal(0, 6, n)
    units: Columns = {
        "pupil_id": np.arange(1, n + 1), "school": school + 1, "tutored": tutored, "attendance": attendance,
        "score": np.where(rng.random(n) < ABSENT, np.nan, score),
        "prior_score": x.prior, "graduate": x.graduate, "girl": x.girl,
    }  # fmt: skip
    return Generated(units, education_truths())


def _pupils(rng: np.random.Generator, school: np.ndarray, schools: int) -> Pupils:
    prior = rng.normal(0, 0.3, schools)[school] + rng.normal(0, np.sqrt(1 - 0.3**2), len(school))
    graduate = (rng.random(len(school)) < 0.35).astype(float)
    return Pupils(prior, graduate, (rng.random(len(school)) < 0.5).astype(float))


def education_truths() -> tuple[Truth, ...]:
    """The truths of `education`; earlier scores have mean 0, so that every average of the effect is the same."""
    through = TO_ATTENDANCE * FROM_ATTENDANCE
    total = DIRECT + through
    lot = "2 by itself and 4 · 0.25 through attendance, the same in both arms: schools were drawn by lot"
    return (
        of("difference_in_means", "ATE", total, lot),
        *effects_of({"ATE": total, "ATT": total, "ATO": total}, lot),
        of("tvce", "ATE", total, lot),
        of("mediation", "ACME", through, "4 on attendance times 0.25 from it"),
        of("mediation", "ADE", DIRECT, "mean of 2 + 0.8 prior"),
        of("mediation", "TOTAL", total, lot),
    )
