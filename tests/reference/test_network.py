"""Weather insurance among Chinese rice farmers who name five friends (Cai, de Janvry & Sadoulet 2015, Table 2)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support import DECISION, assert_published, observational, overall, published, reference_table, run

from estimators.assemble import assemble
from estimators.interference.network import network
from estimators.study import Study

HOUSEHOLD = ["male", "age", "agpop", "ricearea_2010", "literacy"]
SECOND = [*HOUSEHOLD, "intensive", "risk_averse", "disaster_prob"]
FRIENDS = [f"friend{k}" for k in range(1, 6)]


def survey() -> dict[str, np.ndarray]:
    """The survey's columns; what is missing is NaN."""
    table = reference_table("cai_social_insure")
    columns = {}
    for name in table.column_names:
        values = table.column(name).to_pylist()
        text = any(isinstance(v, str) for v in values)
        columns[name] = np.array(values, dtype=object) if text else np.array(values, dtype=float)
    return columns


def second_round(units: dict[str, np.ndarray], edges: dict[str, Any], covariates: list[str], counts: np.ndarray) -> Any:
    """INDIRECT of the first round's intensive sessions on who came to the second and was told of nobody's take-up.

    All others have weight zero: they are friends only, and covariates that they lack are filled in.
    """
    inside = np.isfinite(np.column_stack([units[name] for name in covariates])).all(axis=1) & counts
    filled = {name: np.where(inside, units[name], 0.0) for name in covariates}
    block = {
        "question": "q", "design": "observational", "outcome": "takeup_survey", "treatment": "trained", "unit": "id",
        "covariates": [*covariates, "C(village)"], "cluster": "address", "weight": "counts", "edges": "friends",
        "decision": {**DECISION, "primary": "network", "estimand": "INDIRECT"},
        "options": {"network": {"variance": "CR1"}},
    }  # fmt: skip
    columns = {**units, **filled, "counts": inside.astype(float)}
    wanted = ["id", "takeup_survey", "trained", "counts", "address", "village", *covariates]
    problem, _ = assemble(Study.declare("cai", block), {name: columns[name] for name in wanted}, edges=edges)
    return overall(network(problem, "INDIRECT"))


def in_second_round(columns: dict[str, np.ndarray]) -> np.ndarray:
    return (columns["delay"] == 1) & (columns["info_none"] == 1)


def trained(delay: np.ndarray, intensive: np.ndarray) -> np.ndarray:
    """Whether a friend had an intensive session in the first round, as the authors define it."""
    return ((delay == 0) & (intensive == 1)).astype(float)


def as_the_authors(columns: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Every line of the authors' friendship file as an edge to a unit of its own with that friend's session.

    Their shares count a friend named twice twice, and take the session from the friendship file, where 271 friends of
    households that the survey lacks were trained; people outside the study count as untrained.
    """
    table = reference_table("cai_network_edges")
    source = [str(v) for v in table.column("src_id").to_pylist()]
    delay, intensive = (np.array(table.column(c).to_pylist(), dtype=float) for c in ("delay", "intensive"))
    households = [str(int(v)) for v in columns["id"]]
    friends = [f"friend {k}" for k in range(len(source))]
    known = np.isin(source, households)
    m = len(friends)
    units = {name: np.concatenate([v, np.full(m, v[0])]) for name, v in columns.items()}
    units["id"] = np.array([*households, *friends], dtype=object)
    own = trained(columns["delay"], columns["intensive"])
    units["trained"] = np.concatenate([own, trained(delay, intensive)])
    edges = {"source": np.array(source)[known], "target": np.array(friends)[known]}
    return units, edges


def test_spillover_from_the_edges_is_the_published_one() -> None:
    row = published("cai_social_insure", "network exposure regression", "spillover")
    columns = survey()
    units, edges = as_the_authors(columns)
    counts = np.zeros(len(units["id"]), dtype=bool)
    counts[: len(columns["id"])] = in_second_round(columns)
    ours = second_round(units, edges, [*SECOND, *FRIENDS], counts)
    assert_published(ours.estimate, row)
    assert_published(ours.estimate, row, "reproduced_value")
    assert ours.std_error == pytest.approx(row["reproduced_se"], rel=1e-3)
    assert ours.n_units == 1255
    assert ours.variance_estimator == "CR1"


@pytest.mark.filterwarnings("ignore:The design matrix is rank-deficient")
def test_spillover_among_the_surveyed_alone_is_that_of_statsmodels() -> None:
    """The same edges as they are, against shares counted here one by one.

    Friends named twice count once and those whom the survey lacks are not there. That is not the published number: in
    the authors' file 271 lines name trained friends of households that the survey lacks, and without them it is 0.04
    (standard error 0.07).
    """
    import statsmodels.api as sm

    columns = survey()
    table = reference_table("cai_network_edges")
    named = {end: table.column(f"{end}_id").to_pylist() for end in ("src", "dst")}
    own = trained(columns["delay"], columns["intensive"])
    edges = {
        "source": np.array(named["src"], dtype=float), "target": np.array(named["dst"], dtype=float),
    }  # fmt: skip
    covariates = [*SECOND, *FRIENDS]
    ours = second_round({**columns, "trained": own}, edges, covariates, in_second_round(columns))
    of = dict(zip(columns["id"].astype(int).tolist(), own.tolist(), strict=True))
    friends: dict[int, set[int]] = {}
    for who, friend in zip(named["src"], named["dst"], strict=True):
        if friend in of and friend != who:
            friends.setdefault(who, set()).add(friend)
    kept = in_second_round(columns) & np.isfinite(np.column_stack([columns[c] for c in covariates])).all(axis=1)
    met = [friends.get(int(i), set()) for i in columns["id"][kept]]
    share = [np.mean([of[friend] for friend in some]) if some else 0.0 for some in met]
    village = np.array([columns["village"][kept] == v for v in sorted(set(columns["village"][kept]))[1:]]).T
    controls = [columns[c][kept] for c in covariates]
    x = sm.add_constant(np.column_stack([share, [bool(some) for some in met], *controls, village]).astype(float))
    groups = np.unique(columns["address"][kept].astype(str), return_inverse=True)[1]
    peer = sm.OLS(columns["takeup_survey"][kept], x).fit(cov_type="cluster", cov_kwds={"groups": groups})
    assert ours.estimate == pytest.approx(peer.params[1], rel=1e-7)
    assert ours.std_error == pytest.approx(peer.bse[1], rel=1e-3)
    assert (round(ours.estimate, 2), round(ours.std_error, 2)) == (0.04, 0.07)


def test_direct_effect_of_the_first_round() -> None:
    row = published("cai_social_insure", "direct effect", "direct")
    columns = survey()
    first = (columns["delay"] == 0) & np.isfinite(np.column_stack([columns[c] for c in HOUSEHOLD])).all(axis=1)
    block = observational(
        "takeup_survey", "intensive", [*HOUSEHOLD, "C(village)"], unit="id", cluster="address",
        options={"outcome": {"interactions": "none"}, "regression_adjustment": {"variance": "CR1"}},
    )  # fmt: skip
    units = {name: values[first] for name, values in columns.items()}
    ours = overall(run(block, units, "regression_adjustment", "ATE"))
    assert_published(ours.estimate, row)
    assert_published(ours.estimate, row, "reproduced_value")
    assert ours.std_error == pytest.approx(row["reproduced_se"], rel=1e-3)
