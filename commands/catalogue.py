"""Write what the registry knows: seeds/estimator_catalogue.csv for SQL, docs/estimators.md for people."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from estimators.registry import BESIDE, ESTIMATORS, NAIVE, Estimator

ROOT = Path(__file__).resolve().parents[1]
SEED, PAGE = ROOT / "seeds" / "estimator_catalogue.csv", ROOT / "docs" / "estimators.md"
COLUMNS = (
    "estimator", "title", "needs", "treatment", "estimands", "assumptions", "when_not", "source", "is_naive",
    "is_beside",
)  # fmt: skip

HEAD = """# The estimators

Written from estimators/registry.py by `python -m commands.catalogue`; a test keeps it so. Every estimator whose roles a
study declares runs. Options stand in the study block, `options: {ipw: {trim: 0.05}}`; `propensity`, `outcome`, `folds`,
`repeats` and `cluster_variance` there are shared by the estimators that use them:

| shared option | default | meaning |
|---|---|---|
| `propensity: {link, covariates}` | `logit`, the study's covariates | the propensity model; `logit` or `probit` |
| `outcome: {covariates, interactions}` | the study's covariates, `all` | the outcome regression; `all` fits each \
arm, `none` adds the treatment, a list of terms multiplies those with it |
| `folds` | `5` | cross-fitting; 1 means none |
| `repeats` | `null` | how often the sample is split into folds anew; the estimate is the median over splits. By \
default once, but three times where a nuisance is learned, and five where the three lie apart by more than a quarter \
of a standard error |
| `cluster_variance` | `jackknife` | of influence values that a declared cluster adds up (not of regressions). \
`jackknife`: a cluster at a time is left out of its arm, and Student's t has the degrees of freedom of the \
effective number of clusters, at least one; `sandwich`: times G / (G − 1), with the normal, as older publications \
have it |

An arm (a cohort, a side of a cutoff, an instrument's value) that lies in one cluster, by number or with 95 % of \
its weight, is `not_identified`, whatever the estimator; draws of clusters (`counterfactual` in memory, \
`mediation`) need five an arm. Synthetic controls and interrupted series do not ask. Size and width \
with few treated clusters are in [calibration](calibration.md).

"""
READS = {
    "units": "one row a unit",
    "panel": "all periods of each unit",
    "panel_with_gaps": "all periods of each unit, rows that lack a value among them",
    "populations": "one row a unit, of both populations",
}


def catalogue() -> str:
    """The seed's text, one line an estimator in the registry's order."""
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\n")
    lines.writerow(COLUMNS)
    for e in ESTIMATORS:
        needs, estimands = " ".join(e.needs), " ".join(e.estimands)
        row = (e.name, e.title, needs, e.treatment or "none", estimands, e.assumptions, e.when_not, e.source)
        lines.writerow((*row, *(str(e.name in names).lower() for names in (NAIVE, BESIDE))))
    return out.getvalue()


def page() -> str:
    """The page's text: a table of all, then a section each."""
    rows = [
        f"| [`{e.name}`](#{e.name}) | {e.title} | {', '.join(e.estimands)} | {_listed(e.needs)} |" for e in ESTIMATORS
    ]
    table = "\n".join(["| estimator | method | estimands | roles that it needs |", "|---|---|---|---|", *rows])
    return HEAD + table + "\n\n" + "\n".join(_section(e) for e in ESTIMATORS)


def _section(e: Estimator) -> str:
    yes_no = {True: "yes", False: "no: it refuses"}
    treatment = {"any": "binary or continuous", None: "none"}.get(e.treatment, e.treatment)
    lines = [
        f"## {e.name}", "", f"{e.title}. Estimands: {', '.join(e.estimands)}. Source: {e.source}.", "",
        f"- Needs: {_listed(e.needs)}{_at_least_one(e.either)}. Treatment: {treatment}. Reads {READS[e.reads]}.",
        *([f"- Runs only in studies of the design {_listed(e.designs)}."] if e.designs else []),
        f"- Assumes: {e.assumptions}.", f"- Not when: {e.when_not}.",
        f"- Sampling weights: {yes_no[e.weights]}. Clusters: {yes_no[e.clusters]}. "
        f"Above the study's `row_budget`: {'streams' if e.streams else 'refuses'}.",
        *([_beside(e)] if e.name in BESIDE else []), "",
    ]  # fmt: skip
    if e.options:
        lines += ["| option | default | allowed | meaning |", "|---|---|---|---|"]
        lines += [
            f"| `{name}` | `{_shown(option.default)}` | {option.describe()} | {option.meaning} |"
            for name, option in e.options.items()
        ]
        lines.append("")
    return "\n".join(lines)


def _at_least_one(roles: tuple[str, ...]) -> str:
    return f", and {' or '.join(f'`{role}`' for role in roles)}" if roles else ""


def _beside(e: Estimator) -> str:
    why = "the naive contrast" if e.name in NAIVE else "what hidden confounders would change"
    return f"- Stands beside the answers: it shows {why} and does not count in their consensus."


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _shown(value: Any) -> str:
    """A default as YAML writes it."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


if __name__ == "__main__":
    SEED.write_text(catalogue())
    PAGE.write_text(page())
    print(f"{SEED.name}, {PAGE.name}: {len(ESTIMATORS)} estimators")
