"""The two ways in which a study can fail to give a number, both with a reason that a user can act on."""

from __future__ import annotations


class StudyError(ValueError):
    """A declaration or its data contradict themselves: the study cannot be run as written.

    Parameters
    ----------
    study : str
        Name of the study.
    problem : str
        What is wrong; names the column, role or option.
    mend : str
        What the user can do about it.
    """

    def __init__(self, study: str, problem: str, mend: str) -> None:
        self.study, self.problem, self.mend = study, problem, mend
        super().__init__(f"study {study}: {problem}. {mend}")


class Told(ValueError):
    """An error in this package's own words, which a user can be shown as they are."""


class Refusal(Exception):
    """An estimator declines: its design does not hold on these data. Becomes a row with status 'refused'.

    Parameters
    ----------
    reason : str
        Why no number is given, with the figure that decided it.
    mend : str
        What would make the estimator answer.
    status : str
        ``refused`` (the design fails) or ``not_identified`` (the data cannot identify the estimand).
    """

    def __init__(self, reason: str, mend: str = "", status: str = "refused") -> None:
        self.reason, self.mend, self.status = reason, mend, status
        super().__init__(f"{reason}. {mend}".strip() if mend else reason)
