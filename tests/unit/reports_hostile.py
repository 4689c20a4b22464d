"""Studies as bad as a warehouse can hold them, for the tests that the report says so and stands."""

from __future__ import annotations

from pathlib import Path

import duckdb
from unit import figures_fixture

# Told apart by them, so they stay.
KEYS = ("study", "estimator", "specification", "estimand", "curve", "gate", "metric", "term", "method", "outcome_role",
        "decision", "status", "severity", "roles", "gates", "other_outcomes")  # fmt: skip
LONG, WORD = "a long question of many words " * 60, "w" * 300
CODE = '<script>alert(1)</script> {{ 7 * 7 }} {% raw %} #panic("x") \\input{/etc/passwd} $x_1$ [ * & ~ =1+1'
CONTROL = "".join(map(chr, range(1, 32))) + "\x7f\x9f\u2028\u202e\ufffe\x00 after"
RIGHT_TO_LEFT = "האם הכשרה מקצועית מעלה שכר? هل يرفع التدريب الأجور؟ 日本語 Ünïcödé 👩‍🔬"

TEXTS = {
    "long": LONG, "word": WORD, "code": CODE, "control": CONTROL, "right_to_left": RIGHT_TO_LEFT, "formula": "=1+1",
    "empty": "",
}  # fmt: skip
NUMBERS = {
    "nan": "'nan'::double",
    "infinite": "'inf'::double",
    "huge": "9e307",
    "tiny": "1e-170",
    "zero": "0",
    "negative": "-1",
}
NAMES = ("index", "con", "NSW", "Nsw", "a/b", "../up", "..", "a%20b", "my-study", "two words", "日本語", "x" * 300,
         "study", "<b>bold</b>", 'a"b\'c', "nul\x00", "senate-0123456789ab")  # fmt: skip


def build(path: Path) -> Path:
    """The study ``card`` once a kind of harm, and once a name; every one of them is current."""
    figures_fixture.build(path)
    with duckdb.connect(str(path)) as connection:
        for name, text in TEXTS.items():
            _cloned(connection, name, "VARCHAR", "?", text)
        for name, value in NUMBERS.items():
            _cloned(connection, name, "DOUBLE", value)
        _cloned(connection, "absent", "", "null")
        _cloned(connection, "bare", "", "null", rows=("decision_cards",))
        for name in NAMES:
            _cloned(connection, name, "none", "null")
        connection.execute("update marts.studies set roles = '[1, 2' where study = 'bare'")
        connection.execute("update marts.decision_cards set gates = '{', other_outcomes = 'x' where study = 'bare'")
        kept = [*TEXTS, *NUMBERS, "absent", "bare", *NAMES, "card"]
        for table in figures_fixture.TABLES:
            if table != "build_log":
                connection.execute(f"delete from marts.{table} where not list_contains(?, study)", [kept])
    return path


def _cloned(
    connection: duckdb.DuckDBPyConnection, name: str, kind: str, value: str, text: str | None = None,
    rows: tuple[str, ...] = ("decision_cards", "studies", "estimates", "diagnostics", "curves", "gates", "sensitivity"),
) -> None:  # fmt: skip
    """The rows of ``card`` under another name; every column of a kind (each where it is empty) holds the value."""
    for table in rows:
        columns = connection.execute(f"describe marts.{table}").fetchall()
        harmed = [c[0] for c in columns if c[0] not in KEYS and kind in ("", c[1])]
        given = [name, *([text] * len(harmed) if value == "?" else [])]
        replaced = ", ".join(["? as study", *(f"{value} as {column}" for column in harmed)])
        connection.execute(
            f"insert into marts.{table} select * replace ({replaced}) from marts.{table} where study = 'card'", given
        )
