"""A small warehouse with schema marts as docs/tables.md has it, for the tests of figures and reports: seven studies."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

TABLES = {
    "studies": "study text, question text, design text, population text, outcome text, outcome_unit text,"
    " treatment_unit text, treatment text, roles text, declared_hash text, n_units bigint, spec_hash text,"
    " data_hash text, code_hash text",
    "estimates": "study text, estimator text, specification text, estimand text, outcome text, treatment text,"
    " contrast text, term text, estimate double, std_error double, statistic double, degrees_of_freedom double,"
    " p_value double, conf_low double, conf_high double, conf_level double, n_units bigint, n_treated bigint,"
    " n_clusters bigint, n_trimmed bigint, effective_sample_size double, variance_estimator text, engine text,"
    " status text, status_reason text, outcome_role text, is_primary boolean, seconds double,"
    " spec_hash text, code_hash text, data_hash text, estimated_at timestamp",
    "study_outcomes": "study text, outcome text, outcome_role text, desired_direction text, margin double",
    "diagnostics": "study text, estimator text, specification text, estimand text, metric text, subject text,"
    " value double, threshold double, is_passing boolean",
    "curves": "study text, estimator text, specification text, estimand text, curve text, series text, x double,"
    " x_label text, y double, conf_low double, conf_high double, status text, status_reason text",
    "gates": "study text, gate text, subject text, estimand text, estimator text, value double, threshold double,"
    " is_passing boolean, blocks boolean, severity text, reason text, remedy text",
    "sensitivity": "study text, estimator text, specification text, estimand text, method text, subject text,"
    " value double, reading text",
    "decision_cards": "study text, question text, design text, population text, decision text, rule_fired text,"
    " declared_rule text, finding text, finding_reading text, confidence text, confidence_reason text,"
    " estimator text, specification text, estimand text, term text, scope text, outcome text,"
    " outcome_unit text, effect_unit text, treatment text, status text, status_reason text, baseline double,"
    " baseline_reading text, estimate double, std_error double, conf_low double, conf_high double,"
    " relative_effect double, relative_low double, relative_high double, p_value double, p_adjusted double,"
    " n_confirmatory bigint, minimum_detectable_effect double, n_units bigint, n_treated bigint,"
    " effective_sample_size double, n_trimmed bigint, share_trimmed double, desired_direction text,"
    " minimum_effect double, value_per_unit double, cost_per_unit double, effect_value double,"
    " effect_value_low double, effect_value_high double, net_benefit double, net_benefit_low double,"
    " net_benefit_high double, value_reading text, naive_estimate double, n_estimated bigint,"
    " n_refused bigint, n_agreeing bigint, consensus_estimate double, range_low double, range_high double,"
    " heterogeneity_q double, heterogeneity_df bigint, heterogeneity_p double, heterogeneity_reading text,"
    " heterogeneity_driver text, driver_estimate double, n_gates bigint, n_gates_failed bigint,"
    " gates_failed text, gates text, assumptions_testable text, assumptions_untestable text,"
    " sensitivity_reading text, flip_bias double, flip_confounder_r2 double, flip_m_bar double,"
    " flip_e_value double, flip_reading text, n_groups bigint, least_group text, least_effect double,"
    " most_group text, most_effect double, groups_p double, groups_reading text, n_guardrails bigint,"
    " n_guardrails_held bigint, n_guardrails_breached bigint, n_guardrails_unclear bigint,"
    " guardrails_reading text, secondary_reading text,"
    " other_outcomes text, decision_of_effect text, losses_reading text, decided_by text,"
    " share_lost_untreated double, share_lost_treated double, loss_p double, lee_low double, lee_high double,"
    " lee_conf_low double, lee_conf_high double,"
    " caveats text, n_units_wanted bigint, next_step text, spec_hash text, code_hash text, data_hash text,"
    " estimated_at timestamp, build_id text",
    "build_log": "position bigint, build_id text, node text, resource_type text, status text, seconds double,"
    " message text, logged_at timestamp, previous_hash text, row_hash text",
}
WHEN = datetime.datetime(2026, 11, 23, 6, 30)
HASHES = {"spec_hash": "a1" * 32, "code_hash": "b2" * 32, "data_hash": "c3" * 32}
COVARIATES = ("age", "education", "black", "hispanic", "married", "nodegree", "re74", "re75")

Row = dict[str, Any]

# Every study that has a card is current.
CURRENCY_COLUMNS = "study, is_current, reason, build_id, spec_hash, code_hash, data_hash, estimated_at"
CURRENCY = f"""
create view marts.currency as
select {CURRENCY_COLUMNS} from (select *, true as is_current, null::text as reason from marts.decision_cards)
"""

# study, question, design, population, outcome, unit, treatment, extra roles, units, minimum effect, direction
STUDIES = (
    ("nsw", "Does job training raise earnings in 1978?", "experiment", "men in the NSW programme", "re78", "USD",
     "treat", {}, 445, 500.0, "more"),
    ("nsw_cps", "Can survey controls stand in for the randomised ones?", "observational", "NSW trainees and CPS men",
     "re78", "USD", "treat", {}, 16177, 500.0, "more"),
    ("nhefs", "Does quitting smoking raise body weight?", "observational", "adult smokers, 1971–82", "wt82_71", "kg",
     "qsmk", {}, 1566, 0.0, "more"),
    ("card", "What does a further year of school add to wages?", "iv", "young men, 1976", "lwage", "log points", "educ",
     {"treatment_unit": "year of school"}, 3010, 0.02, "more"),
    ("senate", "Does winning a seat raise the party's next vote?", "rd", "US Senate elections", "vote",
     "percentage points", None, {"running": "margin", "cutoff": 0.0}, 1297, 2.0, "more"),
    ("mpdta", "Does a higher minimum wage lower teen employment?", "panel", "US counties, 2003–07", "lemp",
     "log points", None, {"cohort": "first_treat", "never": 0, "time": "year"}, 2500, 0.01, "less"),
    ("prop99", "Did Proposition 99 lower cigarette sales?", "synthetic_control", "US states, 1970–2000", "cigsale",
     "packs a head", None, {"cohort": "first_treated", "never": 0, "time": "year", "unit": "state"}, 1209, 5.0, "less"),
)  # fmt: skip


def build(path: Path) -> Path:
    """The warehouse file, made anew."""
    path.unlink(missing_ok=True)
    with duckdb.connect(str(path)) as con:
        con.execute("create schema marts")
        for table, columns in TABLES.items():
            con.execute(f"create table marts.{table} ({columns})")
            insert(con, table, ROWS[table]())
        con.execute(CURRENCY)
    return path


def insert(con: duckdb.DuckDBPyConnection, table: str, rows: list[Row]) -> None:
    """Rows into a table; absent columns are NULL."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    given = pa.Table.from_pylist([{name: row.get(name) for name in names} for row in rows])
    con.register("given", given)
    con.execute(f"insert into marts.{table} by name select * from given")
    con.unregister("given")


def _studies() -> list[Row]:
    keys = ("study", "question", "design", "population", "outcome", "outcome_unit", "treatment")
    return [
        {**dict(zip(keys, s[:7], strict=True)), "treatment_unit": s[7].get("treatment_unit"),
         "roles": json.dumps({"outcome": s[4], "treatment": s[6], **s[7]}),
         "n_units": s[8], **HASHES}
        for s in STUDIES
    ]  # fmt: skip


def estimate(study: str, estimator: str, estimand: str, value: float, se: float | None, **more: Any) -> Row:
    """An estimated row with a normal interval."""
    (block,) = [s for s in STUDIES if s[0] == study]
    half = None if se is None else 1.959964 * se
    row = {
        "study": study, "estimator": estimator, "specification": "default", "estimand": estimand, "outcome": block[4],
        "treatment": block[6], "contrast": "1 - 0", "term": "overall", "estimate": value, "std_error": se,
        "statistic": None if se is None else value / se, "p_value": None if se is None else 0.01,
        "conf_low": None if half is None else value - half, "conf_high": None if half is None else value + half,
        "conf_level": 0.95, "n_units": block[8], "variance_estimator": "HC2", "engine": "duckdb",
        "status": "estimated", "outcome_role": "primary", "is_primary": False, "seconds": 0.21,
        "estimated_at": WHEN, **HASHES,
    }  # fmt: skip
    return {**row, **more}


def refused(study: str, estimator: str, estimand: str, reason: str, **more: Any) -> Row:
    """A refusal row: no numbers."""
    row = estimate(study, estimator, estimand, 0.0, None, status="refused", status_reason=reason, **more)
    return {k: v for k, v in row.items() if k not in ("estimate", "variance_estimator")}


def _estimates() -> list[Row]:
    overlap = (
        "overlap gate: 3.1 % of the target population has a propensity in [0.1, 0.9], less than 80 %. Ask for the ATT"
    )
    e = estimate
    rows = [
        e("nsw", "difference_in_means", "ATE", 1794.34, 671.0, n_treated=185),
        e("nsw", "regression_adjustment", "ATE", 1676.34, 677.05, is_primary=True, n_treated=185),
        e("nsw", "regression_adjustment", "ATT", 1701.2, 690.0),
        e("nsw", "ipw", "ATE", 1640.5, 672.0, effective_sample_size=437.2),
        e("nsw", "ipw", "ATT", 1750.1, 699.0),
        e("nsw", "psm", "ATT", 2624.3, 802.19),
        e("nsw", "ope", "ATE", 1590.0, 701.0),
        e("nsw", "counterfactual", "ATE", 1612.0, 650.0),
        *(e("nsw", "counterfactual", "ATE", v, s, term=f"system={k}") for k, v, s in
          (("linear", 1621.6, 640.0), ("nonlinear", 1580.2, 700.0), ("learned", 1634.1, 660.0))),
        e("nsw_cps", "difference_in_means", "ATE", -8497.5, 581.9),
        refused("nsw_cps", "regression_adjustment", "ATE", overlap, is_primary=True),
        refused("nsw_cps", "ipw", "ATE", overlap),
        e("nsw_cps", "ipw", "ATT", 1180.4, 642.0, effective_sample_size=417.0),
        e("nsw_cps", "regression_adjustment", "ATT", 1066.0, 626.8),
        refused("nsw_cps", "psm", "ATT", "balance gate: age has a matched SMD of 0.31, above 0.1"),
        e("nhefs", "difference_in_means", "ATE", 2.54, 0.45),
        e("nhefs", "ipw", "ATE", 3.4405, 0.487, is_primary=True, n_treated=403, effective_sample_size=1398.0),
        e("nhefs", "regression_adjustment", "ATE", 3.463, 0.468),
        e("nhefs", "regression_adjustment", "ATE", 3.517, 0.479, specification="book"),
        e("nhefs", "ope", "ATE", 3.457, 0.489),
        e("nhefs", "psm", "ATT", 3.1, 0.71),
        e("card", "ols", "ATE", 0.0747, 0.0035, contrast="per unit"),
        e("card", "iv", "LATE", 0.1315, 0.055, is_primary=True, contrast="per unit"),
        e("senate", "rd", "LATE", 7.507, 1.7413, is_primary=True, n_trimmed=93),
        e("mpdta", "did", "ATT", -0.0399513, 0.012034, is_primary=True, n_treated=191),
        *(e("mpdta", "did", "ATT", v, s, term=f"event_time={t}") for t, v, s in _EVENTS),
        e("prop99", "synthetic_control", "ATT", -19.51363, None, is_primary=True, p_value=3 / 39,
          variance_estimator="placebo_in_space"),
        e("prop99", "synthetic_control", "ATT", -7.1, None, term="time=1989"),
    ]  # fmt: skip
    return rows


_EVENTS = ((-3, 0.0305, 0.0150), (-2, -0.0006, 0.0133), (-1, -0.0245, 0.0142),
           (0, -0.0199, 0.0118), (1, -0.0510, 0.0169), (2, -0.1373, 0.0364), (3, -0.1008, 0.0344))  # fmt: skip


def _diagnostics() -> list[Row]:
    def row(study: str, estimator: str, estimand: str, metric: str, subject: str, value: float, **more: Any) -> Row:
        base = {"study": study, "estimator": estimator, "specification": "default", "estimand": estimand}
        return {**base, "metric": metric, "subject": subject, "value": value, **more}

    systems = (("linear", 0.06), ("nonlinear", 0.09), ("learned", 0.31))
    return [
        row("nsw", "ipw", "ATE", "effective_sample_size", "overall", 437.2),
        *(row("nsw", "counterfactual", "ATE", "r2", s, v) for s, v in systems),
        row("nsw", "counterfactual", "ATE", "system_sd", "overall", 22.9),
        row("nsw", "counterfactual", "ATE", "system_range", "overall", 53.9),
        row("card", "iv", "LATE", "first_stage_f", "educ", 13.26, threshold=10.0, is_passing=True),
        row("senate", "rd", "LATE", "bandwidth", "left", 17.75),
        row("senate", "rd", "LATE", "bandwidth", "right", 17.75),
        row("mpdta", "did", "ATT", "pre_trends_p", "overall", 0.16812),
        row("prop99", "synthetic_control", "ATT", "placebo_rank", "overall", 3.0),
        row("prop99", "synthetic_control", "ATT", "placebo_count", "overall", 38.0),
        row("prop99", "synthetic_control", "ATT", "pre_rmspe", "overall", 1.66),
        row("prop99", "synthetic_control", "ATT", "donor_weight", "Utah", 0.394),
        row("prop99", "synthetic_control", "ATT", "donor_weight", "Montana", 0.232),
    ]


def _curves() -> list[Row]:
    return [*_propensity_curves(), *_design_curves(), *_synthetic_curves(), *_model_curves()]


def _point(study: str, estimator: str, estimand: str, curve: str, series: str, x: float, y: float, **more: Any) -> Row:
    base = {"study": study, "estimator": estimator, "specification": "default", "estimand": estimand}
    return {**base, "curve": curve, "series": series, "x": float(x), "y": float(y), **more}


def _propensity_curves() -> list[Row]:
    middles = np.arange(20) / 20 + 0.025
    shapes = {
        "nsw": (_bell(middles, 0.44, 0.09, 185), _bell(middles, 0.40, 0.09, 260)),
        "nsw_cps": (_bell(middles, 0.45, 0.25, 185), _bell(middles, 0.0, 0.03, 15992)),
        "nhefs": (_bell(middles, 0.31, 0.11, 403), _bell(middles, 0.24, 0.09, 1163)),
    }
    return [
        _point(study, "scores", "ATE", "propensity_histogram", series, x, y)
        for study, arms in shapes.items()
        for series, counts in zip(("treated", "control"), arms, strict=True)
        for x, y in zip(middles, counts, strict=True)
    ]


def _bell(x: np.ndarray, middle: float, spread: float, total: int) -> np.ndarray:
    density = np.exp(-0.5 * ((x - middle) / spread) ** 2)
    return np.floor(total * density / density.sum())


def _design_curves() -> list[Row]:
    rows = []
    for t, value, se in _EVENTS:
        for series, z in (("pointwise", 1.96), ("simultaneous", 2.71)):
            rows.append(_point("mpdta", "did", "ATT", "event_study", series, t, value,
                               conf_low=value - z * se, conf_high=value + z * se))  # fmt: skip
    for side, sign, level in (("left", -1, 45.0), ("right", 1, 52.4)):
        for i in range(15):
            x, y = sign * (2 + 6.0 * i), level + sign * 2.6 * i + 1.2 * np.sin(5 * i)
            rows.append(_point("senate", "rd", "LATE", "rd_bins", side, x, y, conf_low=y - 3, conf_high=y + 3))
        for i in range(20):
            x = sign * 17.75 * i / 19
            rows.append(_point("senate", "rd", "LATE", "rd_fit", side, x, level + 0.38 * x))
    return rows


def _synthetic_curves() -> list[Row]:
    rng = np.random.default_rng(5)
    rows = []
    for year in range(1970, 2001):
        synthetic = 120 - 0.9 * max(0, year - 1976) + 1.5 * np.sin(year)
        gap = rng.normal(0, 1.4) if year < 1989 else -2.6 * (year - 1988) - 2
        run = ("prop99", "synthetic_control", "ATT")
        rows.append(_point(*run, "synthetic_path", "treated", year, synthetic + gap))
        rows.append(_point(*run, "synthetic_path", "synthetic", year, synthetic))
        rows.append(_point(*run, "synthetic_gap", "treated", year, gap))
        for donor in range(8):
            drift = rng.normal(0, 2) + (0 if year < 1989 else (donor - 4) * 0.6 * (year - 1988))
            rows.append(_point(*run, "synthetic_gap", f"placebo:state {donor}", year, drift))
    return rows


def _model_curves() -> list[Row]:
    rows = []
    for series, ratio in (("point", 1.45), ("bound", 1.12)):
        for step in range(41):
            x = 1 + step * 0.05
            rows.append(_point("nhefs", "ipw", "ATE", "residual_effect", series, x, ratio / (x * x / (2 * x - 1))))
    grid = np.linspace(0, 9000, 30)
    for i, system in enumerate(("linear", "nonlinear", "learned")):
        for curve, middle, spread in (("y0_distribution", 4500, 900), ("effect_distribution", 1600, 500)):
            share = np.exp(-0.5 * ((grid - middle) / (spread * (1 + 0.4 * i))) ** 2)
            for x, y in zip(grid, share / share.sum(), strict=True):
                rows.append(_point("nsw", "counterfactual", "ATE", curve, system, x, y))
    return rows


def _gates() -> list[Row]:
    def row(study: str, gate: str, subject: str, value: float | None, threshold: float | None, ok: bool | None,
            blocks: bool = False, **more: Any) -> Row:  # fmt: skip
        judged = {"value": value, "threshold": threshold, "is_passing": ok, "blocks": blocks, "reason": None}
        return {"study": study, "gate": gate, "subject": subject, **judged, "severity": "warn", **more}

    raw = {
        "nsw": (0.107, 0.141, 0.044, -0.175, 0.094, -0.304, -0.002, 0.084),
        "nsw_cps": (-0.80, -0.60, 2.43, -0.05, -1.23, 0.90, -1.57, -1.75),
        "nhefs": (0.282, 0.06, -0.12, 0.05, -0.217, 0.03, 0.133, 0.02),
    }
    rows = []
    for study, values in raw.items():
        for covariate, value in zip(COVARIATES, values, strict=True):
            rows.append(row(study, "raw_balance", covariate, value, 0.1, abs(value) < 0.1,
                            reason=f"{covariate}: standardised difference {value:.2f} before weighting"))  # fmt: skip
            runs = [("ipw", "ATE"), ("ipw", "ATT"), ("psm", "ATT")]
            for k, (estimator, estimand) in enumerate(runs):
                left = value * (0.02 + 0.03 * k) if (study, estimand) != ("nsw_cps", "ATE") else value * 0.45
                rows.append(row(study, "balance", covariate, left, 0.1, abs(left) < 0.1, True, estimator=estimator,
                                estimand=estimand, reason=f"{covariate} after {estimator} ({estimand}): SMD {left:.3f}",
                                remedy="Change the propensity model or ask for another estimand"))  # fmt: skip
    rows += [
        row("nsw_cps", "overlap", "overall", 0.031, 0.8, False, True, estimand="ATE",
            reason="3.1 % of the units have a propensity in [0.1, 0.9]; 80 % are asked", remedy="Ask for the ATT"),
        row("nsw", "overlap", "overall", 0.998, 0.8, True, True, estimand="ATE", reason="99.8 % lie in [0.1, 0.9]"),
        row("nsw", "sample_ratio", "overall", None, None, None, False, reason="not applicable: no allocation declared"),
        row("card", "first_stage", "educ", 13.26, 10.0, True, True, estimator="iv", reason="F is 13.3"),
        row("mpdta", "pre_trends", "overall", 0.168, 0.05, True, True, estimator="did",
            reason="not rejected (p = 0.17, power 0.41)"),
    ]  # fmt: skip
    return rows


def _sensitivity() -> list[Row]:
    run = {"study": "nhefs", "estimator": "ipw", "specification": "default", "estimand": "ATE"}
    return [
        {**run, "method": "e_value", "subject": "point", "value": 2.2578, "reading": "A confounder of 2.26 with both."},
        {**run, "method": "e_value", "subject": "bound", "value": 1.4866, "reading": "1.49 would move the interval."},
        {**run, "method": "critical_confounding", "subject": "overall", "value": 1.4866, "reading": "Crosses at 1.49."},
    ]


DECISIONS = {
    "nsw": ("extend", "moderate", "The interval holds the least effect that matters.", "Run the trial longer."),
    "nsw_cps": ("cannot_answer", "low", "The primary estimate was refused.", "Ask for the ATT in a new declaration."),
    "nhefs": ("ship", "high", "The whole interval is beyond the least effect that matters.", "Act on it."),
    "card": ("ship", "moderate", "The whole interval is beyond the least effect that matters.", "Act on it."),
    "senate": ("ship", "high", "The whole interval is beyond the least effect that matters.", "Act on it."),
    "mpdta": ("ship", "moderate", "The whole interval is beyond the least effect that matters.", "Act on it."),
    "prop99": ("extend", "moderate", "No interval; the placebo p decides.", "Look for more donors."),
}


def _of_all_outcomes() -> list[Row]:
    """The estimates with the one guardrail: no figure and no table of the page holds its row."""
    guarded = estimate("nhefs", "ope", "ATE", -0.0123, 0.02, outcome="died", outcome_role="guardrail")
    return [*_estimates(), guarded]


# What the card of nhefs says beside its primary outcome; the other studies have declared nothing.
OTHERS = {
    "decision_of_effect": "ship", "n_guardrails": 1, "n_guardrails_held": 1, "n_guardrails_breached": 0,
    "n_guardrails_unclear": 0, "guardrails_reading": "'died': held. A rise of more than 0.05 is ruled out",
    "secondary_reading": "'systolic': too imprecise to tell which way it goes\n'pulse': clear of zero",
    "other_outcomes": json.dumps([{"outcome": "died", "role": "guardrail", "verdict": "held"}]),
}  # fmt: skip


def _cards() -> list[Row]:
    primaries = {r["study"]: r for r in _estimates() if r["is_primary"]}
    gates = _gates()
    rows = []
    for name, question, design, population, outcome, unit, treatment, roles, n, minimum, direction in STUDIES:
        decision, confidence, fired, step = DECISIONS[name]
        run = primaries[name]
        failed = [g["gate"] for g in gates if g["study"] == name and g["is_passing"] is False]
        peers = [r["estimate"] for r in _estimates() if (r["study"], r["estimand"]) == (name, run["estimand"])
                 and r["term"] == "overall" and r.get("estimate") is not None]  # fmt: skip
        copied = ("estimator", "specification", "estimand", "term", "status", "status_reason", "estimate", "std_error",
                  "conf_low", "conf_high", "p_value", "n_treated", "effective_sample_size", "n_trimmed")  # fmt: skip
        rows.append({
            "study": name, "question": question, "design": design, "population": population, "decision": decision,
            "rule_fired": fired, "confidence": confidence, "outcome": outcome, "outcome_unit": unit,
            "effect_unit": f"{unit} per {roles['treatment_unit']}" if "treatment_unit" in roles else unit,
            "declared_rule": f"Ship if the whole 95 % interval is at least {minimum:g} {unit} {direction}.",
            "treatment": treatment, "n_units": n, "scope": f"for {population}", "desired_direction": direction,
            "minimum_effect": minimum, "naive_estimate": 1794.34 if name == "nsw" else None, "n_estimated": 6,
            "n_refused": 3 if name == "nsw_cps" else 0, "n_agreeing": 5, "consensus_estimate": run.get("estimate"),
            "range_low": min(peers, default=None), "range_high": max(peers, default=None),
            "n_gates": sum(g["study"] == name for g in gates), "n_gates_failed": len(failed),
            "gates_failed": ", ".join(sorted(set(failed))) or None, "next_step": step,
            "sensitivity_reading": "A confounder of 2.26 would be needed." if name == "nhefs" else None,
            "estimated_at": WHEN, **HASHES, **{k: run.get(k) for k in copied}, **(OTHERS if name == "nhefs" else {}),
        })  # fmt: skip
    return rows


def _outcomes() -> list[Row]:
    return [{"study": block[0], "outcome": block[4], "outcome_role": "primary"} for block in STUDIES]


def _log() -> list[Row]:
    return [
        {"position": 1, "build_id": "20261123", "node": "model.cqox.nsw_effects", "resource_type": "model",
         "status": "success", "seconds": 1.2, "logged_at": WHEN, "previous_hash": "00", "row_hash": "d4" * 32}
    ]  # fmt: skip


ROWS = {
    "studies": _studies, "estimates": _of_all_outcomes, "diagnostics": _diagnostics, "curves": _curves, "gates": _gates,
    "sensitivity": _sensitivity, "study_outcomes": _outcomes, "decision_cards": _cards, "build_log": _log,
}  # fmt: skip
