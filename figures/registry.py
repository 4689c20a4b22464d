"""The catalogue of figures, and the one call that draws any of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from .animated import (
    ate_animation,
    ecommerce_lifetime_value,
    education_learning_gain,
    finance_portfolio_path,
    healthcare_trajectory,
    spillover_dynamics,
)
from .confounding import confounding_contours, rosenbaum_bounds
from .data import StudyRows
from .designs import event_study, rd_plot, synthetic_path_and_gap
from .designs_checks import bacon_decomposition, density_test, first_stage, transport_shift
from .designs_mediation import mediation_paths
from .designs_paths import donor_weights, dose_response_curve, its_path, placebo_in_space
from .designs_planning import decision_flip_points, power_curve, sequential_monitor
from .diagnostics import covariate_balance, propensity_overlap
from .falsification import falsification_checks, placebo_tests
from .heterogeneity import cate_distribution, feature_importance, gates_sorted_groups, qini_curve, uplift_curve
from .network import network_interference_graph, policy_evaluation_matrix, spillover_effects
from .outcomes import distribution_compare, quantile_effects, scatter_regression
from .overview import counterfactual_comparison, estimator_forest
from .overview_domains import domain_network_graph
from .overview_radar import cas_radar_chart
from .paths import parallel_trends, timeseries_panel
from .residuals import residual_diagnostics, vif_diagnostics
from .robustness import ate_distribution, specification_curve
from .sensitivity import evalue_magnitude, evalue_sensitivity_curve
from .style import Drawing, NotDrawn, look
from .subgroups import cate_by_subgroup, subgroup_forest
from .surfaces import cate_landscape_3d, causal_surface_3d, network_spillover_3d, policy_manifold_3d


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
    Entry(
        "cate_distribution", "heterogeneity", "curves cate_distribution; diagnostics heterogeneity_p, calibration_p",
        "How predicted effects spread over the units. A wide spread is a finding only where the test says so.",
        cate_distribution,
    ),
    Entry(
        "cate_by_subgroup", "heterogeneity", "estimates term = '<modifier>=…'; diagnostics group_contrast_p_holm",
        "Each point is the effect in one group; those whose intervals hold the dashed average do not stand out.",
        cate_by_subgroup,
    ),
    Entry(
        "uplift_curve", "heterogeneity", "curves uplift; estimates term = 'rate'",
        "Read at the share that you can afford to treat: the gap between the lines is what choosing whom is worth.",
        uplift_curve,
    ),
    Entry(
        "qini_curve", "heterogeneity", "curves qini; estimates term = 'rate'",
        "The gap of the uplift curve by itself: where the band holds zero, ranking is not seen to beat chance.",
        qini_curve,
    ),
    Entry(
        "subgroup_forest", "heterogeneity", "estimates term = '<modifier>=…'; diagnostics group_contrast_p_holm",
        "A line a group, with its interval and units. Look for groups off the dashed average, and at the adjusted p.",
        subgroup_forest,
    ),
    Entry(
        "gates_sorted_groups", "heterogeneity", "curves gates; estimates term = 'gates=5-1'",
        "If predictions are right the points rise from left to right, and lie near their diamonds.",
        gates_sorted_groups,
    ),
    Entry(
        "feature_importance", "heterogeneity", "curves feature_importance",
        "Which columns the causal forest splits on; it says where effects differ, not why.",
        feature_importance,
    ),
    Entry(
        "evalue_magnitude", "sensitivity", "sensitivity e_value",
        "The further right, the stronger a hidden confounder would have to be; squares are for the interval.",
        evalue_magnitude,
    ),
    Entry(
        "confounding_contours", "sensitivity", "curves confounding_contours, confounding_benchmarks; sensitivity",
        "A confounder beyond the red line would leave nothing; diamonds show how strong known covariates are.",
        confounding_contours,
    ),
    Entry(
        "rosenbaum_bounds", "sensitivity", "curves rosenbaum_p, rosenbaum_effect; sensitivity rosenbaum",
        "Hidden bias grows to the right; the finding ends where the p-value passes 0.05.",
        rosenbaum_bounds,
    ),
    Entry(
        "ate_distribution", "diagnostics", "decision_cards; estimates term = 'overall'",
        "Where the estimate would fall if the study were done again and again; ticks below are the other methods.",
        ate_distribution,
    ),
    Entry(
        "placebo_tests", "sensitivity", "curves event_study, synthetic_gap; diagnostics placebo_*",
        "Effects that cannot be: they should lie about zero, and the real one well outside them.",
        placebo_tests,
    ),
    Entry(
        "falsification_checks", "sensitivity", "gates; diagnostics pre_trends_p, hansen_j_p, treatment_rank_p",
        "Each test could have shown the design to be wrong; a point in the grey did.",
        falsification_checks,
    ),
    Entry(
        "specification_curve", "sensitivity", "estimates term = 'overall'",
        "If the points stay on one side of zero whatever is done, the choice of method does not drive the answer.",
        specification_curve,
    ),
    Entry(
        "density_test", "designs", "curves running_density; gates density",
        "Counts should run on smoothly through the cutoff; a jump means that units choose their side.",
        density_test,
    ),
    Entry(
        "first_stage", "designs", "diagnostics first_stage_f, first_stage_f_robust, effective_f, ar_low, ar_high",
        "Bars beyond the limit are instruments that move the treatment enough to learn from.",
        first_stage,
    ),
    Entry(
        "bacon_decomposition", "designs", "curves bacon_decomposition; estimates",
        "Each point is one comparison inside the two-way estimate; diamonds compare with units that are "
        "already treated.",
        bacon_decomposition,
    ),
    Entry(
        "transport_shift", "designs",
        "diagnostics covariate_shift, covariate_shift_weighted, share_outside_support; estimates",
        "How far the target population is from the study; full points should lie within the pale band.",
        transport_shift,
    ),
    Entry(
        "placebo_in_space", "designs", "curves synthetic_gap; estimates term = 'time=…'",
        "The treated unit should stand out among untreated ones put through the same analysis.",
        placebo_in_space,
    ),
    Entry(
        "its_path", "designs", "curves its_path; estimates term = 'level_change', 'slope_change'",
        "The effect is how far the fit lies from the dashed line, which is the earlier trend going on.",
        its_path,
    ),
    Entry(
        "dose_response_curve", "designs", "curves dose_response",
        "Above the mean outcome at each dose; below what one unit more of the dose would change.",
        dose_response_curve,
    ),
    Entry(
        "donor_weights", "designs", "diagnostics donor_weight",
        "Which untreated units stand in for the treated one; few of them make the answer lean on those few.",
        donor_weights,
    ),
    Entry(
        "mediation_paths", "designs", "curves mediation_paths; estimates ACME, ADE, SHARE",
        "Follow the arrows: up and down through the mediator, or straight across.",
        mediation_paths,
    ),
    Entry(
        "sequential_monitor", "designs", "curves sequential",
        "Once the band is off zero it may be acted on: it holds at all looks together.",
        sequential_monitor,
    ),
    Entry(
        "power_curve", "designs", "decision_cards std_error, n_units, minimum_effect",
        "Where a curve meets 80 % is the least effect that this many units would show.",
        power_curve,
    ),
    Entry(
        "decision_flip_points", "designs", "decision_cards; sensitivity tipping_point",
        "The diamond is what was declared; a dashed line is where the decision changes.",
        decision_flip_points,
    ),
    Entry(
        "spillover_effects", "network", "estimates DIRECT, INDIRECT, TOTAL; curves outcome_by_treated_neighbours",
        "Own treatment and the neighbours' apart; below, the raw means by treated neighbours.",
        spillover_effects,
    ),
    Entry(
        "network_interference_graph", "network", "curves network_nodes, network_edges, network_edge_spillover",
        "Shapes tell who is treated and who has treated neighbours; dark edges carry spillover.",
        network_interference_graph,
    ),
    Entry(
        "policy_evaluation_matrix", "network", "curves policy_matrix; diagnostics share_treated, net_benefit",
        "Read a row: how much more its policy is worth than the column's.",
        policy_evaluation_matrix,
    ),
    Entry(
        "causal_surface_3d", "surfaces", "curves cate_landscape",
        "Height is the predicted effect of units with these two covariates.",
        causal_surface_3d,
    ),
    Entry(
        "policy_manifold_3d", "surfaces", "curves uplift; decision_cards value_per_unit, cost_per_unit",
        "Height is what is left after cost; the thick line is the best share to treat at each cost.",
        policy_manifold_3d,
    ),
    Entry(
        "network_spillover_3d", "surfaces",
        "curves network_nodes, network_edges, network_edge_spillover, network_node_effect",
        "Higher is more spillover received, larger is more direct effect.",
        network_spillover_3d,
    ),
    Entry(
        "cate_landscape_3d", "surfaces", "curves cate_landscape; decision_cards minimum_effect",
        "Peak and valley of the predicted effect; the ridge is where it is just large enough.",
        cate_landscape_3d,
    ),
    Entry(
        "cas_radar_chart", "overview", "gates; decision_cards; estimates seconds",
        "Five scores from 0 to 1, each with its formula; a dent shows where to look.",
        cas_radar_chart,
    ),
    Entry(
        "domain_network_graph", "overview", "studies.roles",
        "What the design assumes to act on what.",
        domain_network_graph,
    ),
    Entry(
        "ate_animation", "animated",
        "curves event_study, sdid_effect, synthetic_effect or panel_matching_leads; estimates",
        "Watch the effect build up period by period with its interval.",
        ate_animation,
    ),
    Entry(
        "spillover_dynamics", "animated", "curves network_nodes, network_edges, network_edge_spillover",
        "Watch spillover reach unit after unit, the strongest edges first.",
        spillover_dynamics,
    ),
    Entry(
        "education_learning_gain", "animated", "curves cate_landscape",
        "Watch the predicted gain along the pupils' first covariate.",
        education_learning_gain,
    ),
    Entry(
        "healthcare_trajectory", "animated", "curves its_path; estimates",
        "Watch the path leave the one that the earlier trend would have taken.",
        healthcare_trajectory,
    ),
    Entry(
        "finance_portfolio_path", "animated", "curves event_study",
        "Watch the effect of each quarter and what they add up to.",
        finance_portfolio_path,
    ),
    Entry(
        "ecommerce_lifetime_value", "animated", "curves uplift",
        "Watch the gain as more customers are treated, those who gain most first.",
        ecommerce_lifetime_value,
    ),
    Entry(
        "parallel_trends", "diagnostics", "curves cohort_path; diagnostics pre_trends_p",
        "Left of a cohort's dashed line its path should run level with that of the untreated, at any height.",
        parallel_trends,
    ),
    Entry(
        "residual_diagnostics", "diagnostics", "curves residual_quantiles, residual_fitted, residual_spread",
        "Points off the dashed lines show what the outcome model misses, and for which predictions.",
        residual_diagnostics,
    ),
    Entry(
        "vif_diagnostics", "diagnostics", "gates collinearity, covariate_collinearity; curves covariate_correlation",
        "Right of the limit a column is nearly told by the others; it matters for the treatment alone.",
        vif_diagnostics,
    ),
    Entry(
        "distribution_compare", "diagnostics", "curves outcome_histogram, outcome_cdf, outcome_ks",
        "The whole distribution of the outcome, arm by arm: where the lower lines part, treatment or selection shows.",
        distribution_compare,
    ),
    Entry(
        "timeseries_panel", "diagnostics", "curves outcome_series; studies.roles (intervention_time, options.its)",
        "The outcome before any model: its trend, and where the study has seasons, those.",
        timeseries_panel,
    ),
    Entry(
        "scatter_regression", "diagnostics", "curves outcome_by_covariate",
        "Dots are units; the lines follow their local mean. A bend calls for more than a straight term.",
        scatter_regression,
    ),
    Entry(
        "quantile_effects", "heterogeneity", "curves quantile_effects; decision_cards",
        "Left are low outcomes, right high ones: a level line means that treatment shifts all of them alike.",
        quantile_effects,
    ),
)  # fmt: skip

BY_NAME = {entry.name: entry for entry in CATALOGUE}


_NAME = re.compile(r"[a-z][a-z0-9_]+")


def curves_of(entry: Entry) -> list[str]:
    """The curves that a figure reads, as ``reads`` names them."""
    parts = [part.strip() for part in entry.reads.split(";")]
    told = " ".join(part.removeprefix("curves ") for part in parts if part.startswith("curves "))
    return [word for word in _NAME.findall(told) if word != "or"]


def draw(name: str, rows: StudyRows) -> Drawing | NotDrawn:
    """One figure of one study, or why it is not drawn: also where a curve that it reads could not be computed."""
    entry = BY_NAME[name]
    failure = rows.failure(curves_of(entry))
    if failure is not None:
        return NotDrawn(failure)
    with look():
        return entry.function(rows.for_figures)
