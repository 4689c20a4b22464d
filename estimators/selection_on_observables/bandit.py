"""The value of a policy from decisions that another policy took and logged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import Refusal
from ..estimates import made
from ..inference import cluster_sums, effective_sample_size, standard_error
from ..learned import Target, predict
from ..problem import Problem
from ..result import CurvePoint, Diagnostic, Estimate, Result
from ..sample import check_sample
from ..weight_support import Behind, unsupported

METHODS = ("ips", "snips", "dr", "switch_dr")
MEND = "Log longer, or evaluate a policy nearer to the logged one"
# Levels of the weights at which switch_dr may switch, and of the curve of their tail.
SWITCHES = (0.5, 0.75, 0.9, 0.95, 0.99, 1.0)
TAIL = (0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0)
# Probabilities of all actions add up to one; so far may rounding in a table take them.
ROUNDING = 1e-3


@dataclass(frozen=True)
class Log:
    """What was logged, and what the policy would have done.

    Attributes
    ----------
    rho : ndarray of shape (n,)
        Probability of the logged action under the policy over that under the log's.
    probabilities : ndarray of shape (n, actions) or None
        Of every action under the policy, where they are declared.
    actions : tuple
        In sort order.
    """

    rho: np.ndarray
    probabilities: np.ndarray | None
    actions: tuple[Any, ...]


@dataclass(frozen=True)
class Values:
    """Estimates by method, with influence values of shape (n,) that already hold the sampling weights.

    ``parts`` maps a method to the numerator and denominator of a row, of whose means the estimate is the ratio.
    """

    parts: dict[str, tuple[np.ndarray, np.ndarray]]

    def estimate(self, name: str) -> float:
        """Ratio of the means."""
        above, below = self.parts[name]
        return float(above.sum() / below.sum())

    def influence(self, name: str) -> np.ndarray:
        """Of the ratio: mean zero. That of switch_dr is dr's: see `policy_value`."""
        name = "dr" if name == "switch_dr" else name
        above, below = self.parts[name]
        return (above - self.estimate(name) * below) / below.mean()


def policy_value(problem: Problem, estimand: str) -> Result:
    """V(π): the mean outcome had the actions been the policy's, from a log of another policy's with its probabilities.

    With ρ = π(A | X) / p, p the logged propensity of the logged action A, and q a prediction of the outcome that has
    not seen the row's fold: ``ips``, mean of ρ Y; ``snips``, Σ ρ Y / Σ ρ; ``dr``, mean of q̄ + ρ (Y − q);
    ``switch_dr``, the same without the second part where ρ exceeds a bound; its interval has the width of dr's, because
    there the errors of q itself count, which scores with q as given do not hold (they covered 74 to 93 %).
    With the policy's probabilities of all actions,
    q = q(X, A) by a regression an action, and q̄ = Σ_a π(a | X) q(X, a). With that of the logged action alone q = q̄ =
    q(X), which takes out what covariates explain and needs no more, but then switch_dr is not told. ``logged`` is the
    log's own mean, ``gain`` the row ``overall`` less it.

    Parameters
    ----------
    problem : Problem
        Options: see the registry. ``overall`` repeats the row of ``method``. Sampling weights multiply all sums and
        enter the regressions; a declared cluster assigns clusters to folds, sums influence values, and is what the
        bootstrap draws. The regressions are not fitted anew in its draws. Folds are of the first split.
    estimand : str
        policy_value.

    Returns
    -------
    Result
        In units of the outcome. Every row but ``logged`` is refused where ρ leaves fewer than 30 effective rows, or one
        with over a tenth of the weight (`estimators.weight_support`). Diagnostics: ``effective_sample_size`` of ρ and
        ``max_weight`` (the largest's share), ``weight_mean`` (1 if the propensities are
        right) and its distance from 1 in standard errors (``weight_mean_z``, held against 4), ``weight_max``,
        ``weight_tail_share`` (of the largest hundredth of the weights), ``switch``, ``actions``, ``never_followed``
        (rows whose action the policy never takes). Curve ``weight_tail``: quantiles of ρ.

    Raises
    ------
    Refusal
        Without a column of the policy, or other than one or one an action; for probabilities outside [0, 1], that do
        not add up to one, or a logged propensity of 0; ``not_identified`` where the policy never takes a logged action;
        for a method without its covariates or probabilities; for an action too rare for its regression.

    References
    ----------
    Dudík, Langford & Li 2011; Swaminathan & Joachims 2015; Wang, Agarwal & Dudík 2017.
    """
    check_sample(problem)
    log = read_log(problem)
    method = _method(problem, log)
    q = _predicted(problem, log) if method in ("dr", "switch_dr") or problem.own("method") is None else None
    bound: float | None = None
    if q is not None and log.probabilities is not None:
        declared = problem.own("switch")
        bound = _switch(problem, log, *q) if declared is None else float(declared)
    values = all_values(problem, log, q, bound)
    fields = _fields(problem, log)
    order = ("overall", *(name for name in METHODS if name in values.parts), "logged", "gain")
    draws = _draws(problem, values, method, order) if problem.own("inference") == "bootstrap" else None
    rows = tuple(_row(problem, estimand, values, method, term, draws, fields) for term in order)
    failing = Behind.of("overall", problem.w * log.rho).failing()
    rows = unsupported(rows, [failing] if failing else [], MEND, ("logged",))
    return Result(rows, _diagnostics(problem, log, bound), _tail(log))


def read_log(problem: Problem) -> Log:
    """Weights of the logged actions, and the policy's probabilities; refuses what is none."""
    study, columns = problem.study, problem.own("evaluated_policy")
    assert study.arms is not None
    assert study.logged_propensity is not None
    if not columns:
        reason = "no column holds the probabilities of the policy to be evaluated"
        raise Refusal(reason, "Name one, or one an action, under options: policy_value: evaluated_policy")
    logged = problem.columns[study.logged_propensity]
    if logged.min() <= 0 or logged.max() > 1:
        reason = f"the logged propensity '{study.logged_propensity}' lies outside (0, 1] in some rows"
        raise Refusal(reason, "It is the probability with which the logged action was taken: mend the log")
    arms = problem.columns[study.arms]
    actions = tuple(sorted(set(arms.tolist())))
    if len(columns) > 1:
        columns = by_action(tuple(columns), actions, study.arms)
    own = problem.matrix(tuple(columns)).values
    if own.min() < 0 or own.max() > 1 + ROUNDING:
        raise Refusal("the evaluated policy has probabilities outside [0, 1]", "Mend the columns")
    every = own if own.shape[1] > 1 else None
    if every is not None and np.abs(every.sum(axis=1) - 1).max() > ROUNDING:
        reason = f"the evaluated policy's probabilities add up to {every.sum(axis=1).min():g} in some row"
        raise Refusal(reason, "They are of all actions and add up to 1 in each row")
    code = {action: j for j, action in enumerate(actions)}
    taken = own[:, 0] if every is None else every[np.arange(problem.n), [code[a] for a in arms.tolist()]]
    if not np.any(taken * problem.w > 0):
        reason = "the evaluated policy never takes an action that was logged"
        raise Refusal(reason, "Log with a policy that takes them", "not_identified")
    return Log(taken / logged, every, actions)


def by_action(columns: tuple[str, ...], actions: tuple[Any, ...], arms: str) -> tuple[str, ...]:
    """The policy's columns in the order of the actions, matched by name: a column's name ends with its action.

    Parameters
    ----------
    columns : tuple of str
        ``pi_a`` (or ``a``) holds the probability of action ``a``; the order in which they are declared tells nothing.
    actions : tuple
        Labels in the log; whole numbers without decimals.
    arms : str
        Their column.

    Raises
    ------
    Refusal
        For a number of columns that is not that of the actions, and an action whose column cannot be told by name.
    """
    if len(columns) != len(actions):
        reason = f"{len(columns)} columns hold the evaluated policy, and '{arms}' has {len(actions)} actions"
        raise Refusal(reason, "Give one column, or one an action")
    found = []
    for action in actions:
        whole = isinstance(action, float) and action.is_integer()
        label = str(int(action)) if whole else str(action)
        own = [name for name in columns if name == label or name.endswith(f"_{label}")]
        if len(own) != 1:
            reason = (
                f"no single column of the evaluated policy has a name that ends with the action '{label}' of '{arms}'"
            )
            raise Refusal(reason, f"Name the columns after their actions, such as policy_{label}")
        found.append(own[0])
    return tuple(found)


def _method(problem: Problem, log: Log) -> str:
    method, terms = problem.own("method"), problem.covariate_terms()
    if method is None:
        return "dr" if terms else "snips"
    if method in ("dr", "switch_dr") and not terms:
        raise Refusal(f"{method} predicts outcomes from covariates, and none are declared", "Declare some, or snips")
    if method == "switch_dr" and log.probabilities is None:
        reason = "switch_dr needs the policy's probability of every action"
        raise Refusal(reason, "Name one column an action under evaluated_policy, or declare method: dr")
    return method


def _predicted(problem: Problem, log: Log) -> tuple[np.ndarray, np.ndarray] | None:
    """q at the logged action, and q̄ under the policy: shapes (n,); None without covariates."""
    terms, learner = problem.covariate_terms(), problem.own("learner")
    if not terms:
        return None
    study = problem.study
    assert study.arms is not None
    if log.probabilities is None:
        q = predict(problem, Target(study.outcome), terms, learner).values
        return q, q
    at, mean = np.empty(problem.n), np.zeros(problem.n)
    arms = problem.columns[study.arms]
    for j, action in enumerate(log.actions):
        target = Target(study.outcome, (study.arms, action))
        own = predict(problem, target, terms, learner).values
        mean += log.probabilities[:, j] * own
        at[arms == action] = own[arms == action]
    return at, mean


def _switch(problem: Problem, log: Log, q: np.ndarray, mean: np.ndarray) -> float:
    """Of some quantiles of ρ that bound at which variance and squared bias, both estimated, are smallest together."""
    residual, w = problem.y - q, problem.w / problem.w.mean()
    scored = []
    for level in sorted(SWITCHES, reverse=True):
        bound = float(np.quantile(log.rho, level))
        kept = log.rho <= bound
        psi = mean + np.where(kept, log.rho, 0.0) * residual
        psi = w * (psi - np.average(psi, weights=w))
        bias = np.mean(w * np.where(kept, 0.0, log.rho) * residual)
        scored.append((standard_error(psi, problem.clustering()) ** 2 + float(bias) ** 2, bound))
    return min(scored, key=lambda one: one[0])[1]


def all_values(problem: Problem, log: Log, q: tuple[np.ndarray, np.ndarray] | None, bound: float | None) -> Values:
    """Numerators and denominators of every method that can be told; see `policy_value`."""
    w, y, rho = problem.w, problem.y, log.rho
    parts = {"ips": (w * rho * y, w), "snips": (w * rho * y, w * rho), "logged": (w * y, w)}
    if q is not None:
        at, mean = q
        parts["dr"] = (w * (mean + rho * (y - at)), w)
        if bound is not None:
            parts["switch_dr"] = (w * (mean + np.where(rho <= bound, rho, 0.0) * (y - at)), w)
    return Values(parts)


def _fields(problem: Problem, log: Log) -> dict[str, Any]:
    fields: dict[str, Any] = {"n_units": problem.n}
    if problem.cluster is not None:
        fields["n_clusters"] = problem.n_clusters
    return fields | {"effective_sample_size": effective_sample_size(log.rho * problem.w)}


def _row(
    problem: Problem, estimand: str, values: Values, method: str, term: str, draws: dict[str, np.ndarray] | None,
    fields: dict[str, Any],
) -> Estimate:  # fmt: skip
    name = method if term in ("overall", "gain") else term
    estimate, psi = values.estimate(name), values.influence(name)
    if term == "gain":
        estimate, psi = estimate - values.estimate("logged"), psi - values.influence("logged")
    contrast = "policy - logged" if term == "gain" else "value"
    if draws is None:
        variance = "influence_function" if problem.cluster is None else "cluster"
        error = standard_error(psi, problem.clustering(), ddof=1)
        fields = {**fields, "contrast": contrast, "variance_estimator": variance}
        return made(estimand, estimate, error, problem.reference_df(), term=term, **fields)
    own = draws[term]
    low, high = np.quantile(own, [0.025, 0.975])
    # The share of draws on the other side of zero, twice; never below what so few draws can tell.
    p = min(1.0, 2 * (1 + min(int(np.sum(own <= 0)), int(np.sum(own >= 0)))) / (len(own) + 1))
    return Estimate(
        estimand, term, contrast, estimate, float(own.std(ddof=1)), p_value=p, conf_low=float(low),
        conf_high=float(high), variance_estimator="bootstrap", **fields,
    )  # fmt: skip


def _draws(problem: Problem, values: Values, method: str, order: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Estimates of each term in resamples of pairs (of clusters)."""
    number = problem.own("bootstrap")
    if number < 2:
        raise Refusal(f"bootstrap: {number} is too few draws", "Give 2 or more; 1000 are usual")
    names = list(values.parts)
    sums = np.column_stack([column for name in names for column in values.parts[name]])
    if problem.cluster is not None:
        sums = cluster_sums(sums, problem.cluster.astype(str))
    rng, size = np.random.default_rng(problem.study.seed), len(sums)
    chance = np.full(size, 1 / size)
    drawn = np.array([rng.multinomial(size, chance) @ sums for _ in range(number)])
    with np.errstate(divide="ignore", invalid="ignore"):
        by_name = {name: drawn[:, 2 * j] / drawn[:, 2 * j + 1] for j, name in enumerate(names)}
    if not all(np.isfinite(own).all() for own in by_name.values()):
        reason = "some resamples hold no action that the policy takes"
        raise Refusal(reason, "The log is too small for this policy: use inference: influence_function")
    if "switch_dr" in by_name:
        by_name["switch_dr"] = by_name["dr"] + (values.estimate("switch_dr") - values.estimate("dr"))
    by_term = {"overall": by_name[method], "gain": by_name[method] - by_name["logged"]}
    return {term: by_term.get(term, by_name.get(term, by_name[method])) for term in order}


def _diagnostics(problem: Problem, log: Log, bound: float | None) -> tuple[Diagnostic, ...]:
    w = problem.w / problem.w.mean()
    rho = w * log.rho
    mean = float(np.mean(rho))
    spread = standard_error(w * (log.rho - mean), problem.clustering(), ddof=1)
    z = (mean - 1) / spread if spread > 0 else None
    top = np.sort(rho)[::-1][: max(1, len(rho) // 100)]
    return (
        *Behind.of("overall", rho).diagnostics(),
        Diagnostic("weight_mean", "overall", mean),
        Diagnostic("weight_mean_z", "overall", z, 4.0, None if z is None else abs(z) <= 4),
        Diagnostic("weight_max", "overall", float(log.rho.max())),
        Diagnostic("weight_tail_share", "overall", float(top.sum() / rho.sum())),
        Diagnostic("switch", "overall", bound),
        Diagnostic("actions", "overall", float(len(log.actions))),
        Diagnostic("never_followed", "overall", float(np.sum(log.rho == 0))),
    )


def _tail(log: Log) -> tuple[CurvePoint, ...]:
    return tuple(CurvePoint("weight_tail", "rho", level, float(np.quantile(log.rho, level))) for level in TAIL)
