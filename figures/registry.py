"""The catalogue of figures, and the one call that draws any of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .data import StudyRows
from .designs import event_study, rd_plot, synthetic_path_and_gap
from .diagnostics import covariate_balance, propensity_overlap
from .overview import counterfactual_comparison, estimator_forest
from .sensitivity import evalue_sensitivity_curve
from .style import Drawing, NotDrawn, look


@dataclass(frozen=True)
class Entry:
    """One figure of the catalogue: its file name, family, the rows that it reads, and how to read it."""

    name: str
    family: str
    reads: str
    guide: str
    function: Callable[[StudyRows], Drawing | NotDrawn]


CATALOGUE = (
    Entry(
        "estimator_forest", "overview", "estimates where term = 'overall'; decision_cards",
        "Each line is one estimate with its 95 % interval; compare within one estimand. "
        "Green is where the declared rule says ship.",
        estimator_forest,
    ),
    Entry(
        "event_study", "designs", "curves event_study; estimates; diagnostics pre_trends_p",
        "Left of the dashed line nothing should happen; right of it is the effect. "
        "Thin bars hold for all periods at once.",
        event_study,
    ),
    Entry(
        "rd_plot", "designs", "curves rd_bins, rd_fit; estimates; studies.roles (cutoff, running)",
        "The effect is the jump between the two lines at the cutoff; points are means within bins.",
        rd_plot,
    ),
    Entry(
        "synthetic_path_and_gap", "designs", "curves synthetic_path, synthetic_gap; estimates; diagnostics placebo_*",
        "Before treatment the two lines should coincide; afterwards their gap is the effect. "
        "Grey lines are the gaps of units that were not treated.",
        synthetic_path_and_gap,
    ),
    Entry(
        "covariate_balance", "diagnostics", "gates raw_balance, balance",
        "Each covariate's difference between the arms, in standard deviations: left of the line is balanced.",
        covariate_balance,
    ),
    Entry(
        "propensity_overlap", "diagnostics", "curves propensity_histogram",
        "Where both arms have bars there are comparable units; outside the shaded region the data hardly compare.",
        propensity_overlap,
    ),
    Entry(
        "evalue_sensitivity_curve", "sensitivity", "curves residual_effect; sensitivity e_value, critical_confounding",
        "Follow a curve to the right: where it meets 1, confounding that strong would explain the effect away.",
        evalue_sensitivity_curve,
    ),
    Entry(
        "counterfactual_comparison", "overview",
        "curves y0_distribution, effect_distribution; estimates term = 'system=…'; diagnostics r2",
        "Three ways to predict what would have happened without treatment: the closer they agree, "
        "the less the answer rests on one of them.",
        counterfactual_comparison,
    ),
)  # fmt: skip

BY_NAME = {entry.name: entry for entry in CATALOGUE}


def draw(name: str, rows: StudyRows) -> Drawing | NotDrawn:
    """One figure of one study, or why it is not drawn."""
    with look():
        return BY_NAME[name].function(rows)
