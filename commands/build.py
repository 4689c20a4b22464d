"""`make build`: studies, then marts, then the report; every step runs, and the exit code tells whether all was well.

All is built in a file beside the warehouse, which takes its place when it is whole (commands/beside.py): readers see
one whole build, and a build that is killed, or whose marts fail, leaves the last one. Whole is a build whose marts were
all written; a broken study is rows in them, so it is renamed and the exit code is 1.

dbt skips whatever hangs on a model that errors, the marts too. So the marts have a call of their own, after the
studies, which writes a `failed` row for each study that has none of this build. Both calls know the build by
CQOX_BUILD_ID and its start by CQOX_BUILD_STARTED_AT. With a selection (``--select``) the marts take the other studies'
tables as they stand, so the start is left empty, and what this build should have made and did not is dropped.

A project that installs this one builds the same way, with ``--project its/folder``. The marts are selected by package
and folder (``fqn:cqox.marts``), because dbt looks for ``path:`` in the project that is built and would find nothing. A
profile that does not read CQOX_WAREHOUSE is built in place, and the console says so.

Two builds of one project into two warehouses share dbt's `target/`: dbt reads there only its saved parse, and parses
anew where that is cut short or of another build.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from types import FrameType

import duckdb

from . import failures
from .beside import Beside
from .dbt_call import Called, Node, call, end
from .profile import check_is_file, file_of
from .warehouse import Problem, opened

ROOT = Path(__file__).resolve().parents[1]
MARTS = "fqn:cqox.marts"
# dbt's exit code where all ran and something is not well; 2 is a project that it cannot read, others are a death.
NOT_WELL = 1
SELECTION = ("--select", "-s", "--models", "--model", "-m", "--exclude", "--selector", "--resource-type",
             "--exclude-resource-type", "--resource-types", "--exclude-resource-types")  # fmt: skip
# Options of `dbt build` that its other calls here do not know.
NOT_OF_TEST = ("--full-refresh", "-f", "--no-full-refresh", "--empty", "--no-empty")
NOT_OF_RUN = ("--store-failures", "--no-store-failures")
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(Exception):
    """Ctrl-C, SIGTERM or a terminal that was closed."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def warehouse(project: Path) -> Path:
    """The DuckDB file of profile dev.

    Raises
    ------
    Problem
        Where CQOX_WAREHOUSE names no file but memory or a service.
    """
    name = os.environ.get("CQOX_WAREHOUSE") or "warehouse.duckdb"
    check_is_file(name, "CQOX_WAREHOUSE")
    return project / name


def build_environment(project: Path) -> dict[str, str]:
    """The environment of this build: its name, its start and where the profile lies."""
    now = datetime.datetime.now(datetime.UTC)
    return {
        **os.environ,
        "CQOX_BUILD_ID": os.environ.get("CQOX_BUILD_ID") or uuid.uuid4().hex,
        "CQOX_BUILD_STARTED_AT": now.strftime("%Y-%m-%d %H:%M:%S.%f"),
        "DBT_PROFILES_DIR": os.environ.get("DBT_PROFILES_DIR") or str(project),
        "PYTHONPATH": str(ROOT),
    }


def without_selection(arguments: list[str]) -> list[str]:
    """dbt's arguments without those that choose nodes, each with its values."""
    kept, choosing = [], False
    for word in arguments:
        if word.startswith("-"):
            choosing = word.partition("=")[0] in SELECTION
            if choosing:
                continue
        if not choosing:
            kept.append(word)
    return kept


def show(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)


class Build:
    """One build of one project.

    Attributes
    ----------
    not_well
        The steps where not all was well.
    nodes
        The models and tests of all calls that did not go well.
    """

    def __init__(self, project: Path, for_dbt: list[str], wants_report: bool) -> None:
        self.project, self.for_dbt, self.wants_report = project, for_dbt, wants_report
        self.environment = build_environment(project)
        self.is_partial = without_selection(for_dbt) != for_dbt
        self.not_well: list[str] = []
        self.nodes: list[Node] = []
        self.warehouse = warehouse(project)
        self.beside = Beside(self.warehouse)
        self.is_beside = True

    def run(self) -> int:
        """Build; the exit code.

        Raises
        ------
        Problem
            Where nothing could be built, and why.
        Stopped
            By a signal: children are ended and the file beside is removed first.
        """
        self._place()
        with self.beside.locked():
            if self.is_beside:
                self.beside.fill()
            was = self.beside.was
            try:
                is_whole = self._studies() and self._marts()
                if is_whole:
                    self._tests()
                    if self.is_beside:
                        self.beside.write_out()
                    judged = self._judge(self.beside.file if self.is_beside else self.warehouse)
                    if self.is_beside:
                        self.beside.put_in_place()
                else:
                    self._tell_broken()
            except (Stopped, Problem):
                self._tell_what_stands(was)
                raise
            if not is_whole:
                self._tell_what_stands(was)
                return 1
            self._show()
        self._tell_failures(*judged)
        if self.not_well:
            self._tell(f"not all is well: {', '.join(self.not_well)}; the lines above tell what and how to mend it")
        return 1 if self.not_well else 0

    def _place(self) -> None:
        """Where to build: beside, or in place where the profile names a file by itself."""
        self.environment["CQOX_WAREHOUSE"] = str(self.beside.file)
        path = file_of(self.project, self.for_dbt, self.environment)
        if path == str(self.beside.file):
            self.environment["CQOX_TEMP_DIRECTORY"] = str(self.beside.spill)
            return
        self.warehouse = self.project / path
        self.beside, self.is_beside = Beside(self.warehouse), False
        show(
            f"The profile does not read CQOX_WAREHOUSE, so {self.warehouse} is built in place: readers are kept out "
            "meanwhile, and a build that is killed leaves it half done. Write its path as in cqox's profiles.yml."
        )

    def _dbt(self, title: str, *arguments: str) -> Called:
        show(f"== {title}")
        started = time.perf_counter()
        dbt = str(Path(sys.executable).with_name("dbt"))
        called = call([dbt, *arguments], self.project, self.environment, show, self.beside.lock)
        for alike in called.warned.values():
            show(f"warning: {alike[0]}" + (f" (and {len(alike) - 1} alike)" if len(alike) > 1 else ""))
        self._step(title, called.code, time.perf_counter() - started)
        self._keep(title, called.other_lines)
        self.nodes += called.broken()
        for error in called.errors:
            self._tell(failures.of_the_file(error, self.warehouse) or error)
        if called.code not in (0, NOT_WELL) and not called.errors:
            last = next((line for line in reversed(called.other_lines) if line.strip()), "it said nothing")
            self._tell(
                f"dbt ended with exit code {called.code}; its last words: {last}. See {self.log} and build.log beside"
            )
        return called

    def _keep(self, title: str, lines: list[str]) -> None:
        """What libraries said beside dbt's events, warnings above all, goes into a file of this build."""
        file = self.log.with_name("build.log")
        with contextlib.suppress(OSError):  # a log that cannot be written fails no build
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("w" if title.startswith("studies") else "a", encoding="utf-8") as out:
                out.writelines(f"{line}\n" for line in (f"== {title}", *lines))

    def _step(self, title: str, code: int, seconds: float) -> None:
        show(f"== {title}: {'done' if code == 0 else f'exit {code}'} in {seconds:.0f} s")
        if code:
            self.not_well.append(title.partition(":")[0].removesuffix(" of the marts"))

    @staticmethod
    def _tell(sentence: str) -> None:
        print(sentence, file=sys.stderr, flush=True)

    @property
    def log(self) -> Path:
        """dbt's log with every traceback."""
        return self.project / os.environ.get("DBT_LOG_PATH", "logs") / "dbt.log"

    def _studies(self) -> bool:
        """Stage, gate, estimate; False where dbt itself did not come through."""
        called = self._dbt("studies: stage, gate, estimate", "build", *self.for_dbt, "--exclude", f"{MARTS}+")
        if called.code not in (0, NOT_WELL):
            self._tell("dbt could not start or was ended, so nothing was built.")
            if any("_effects' which was not found" in error for error in called.errors):
                self._tell(
                    "Where it misses a node '<study>_effects', the list `vars: studies` names a study that has no "
                    "models: add them, or take it off the list."
                )
            return False
        if self.is_partial:
            self.environment["CQOX_BUILD_STARTED_AT"] = ""
            self._drop([node.relation for node in called.stale() if node.kind == "model" and node.relation])
        return True

    def _drop(self, relations: list[str]) -> None:
        """Drop what this build should have made anew: the marts would take an earlier build's rows for its own."""
        path = self.beside.file if self.is_beside else self.warehouse
        if not relations or not path.exists():
            return
        with duckdb.connect(str(path)) as connection:
            for relation in relations:
                for kind in ("table", "view"):
                    try:
                        connection.execute(f"drop {kind} if exists {relation} cascade")
                    except duckdb.CatalogException:
                        continue  # it is of the other kind

    def _marts(self) -> bool:
        """Write the marts. Their tests come after: in one call a failing one would leave the last build's cards."""
        arguments = [word for word in without_selection(self.for_dbt) if word not in NOT_OF_RUN]
        return self._dbt("marts: tables and decisions", "run", *arguments, "--select", MARTS).code == 0

    def _tests(self) -> None:
        arguments = [word for word in without_selection(self.for_dbt) if word not in NOT_OF_TEST]
        self._dbt("tests of the marts", "test", *arguments, "--select", MARTS)

    def _manifest(self) -> dict[str, object]:
        return failures.manifest_of(self.project / os.environ.get("DBT_TARGET_PATH", "target"))

    def _judge(self, file: Path) -> tuple[list[failures.Failure], list[str]]:
        """What failed in a build whose marts are whole, and the studies that the gates refused."""
        with opened(file) as connection:
            told = failures.of_marts(connection)
            told += failures.of_dbt(self.nodes, told, self._manifest(), connection, self.project, self.warehouse)
            refused = failures.refusals(connection)
        return told, refused

    def _tell_broken(self) -> None:
        manifest = self._manifest()
        self._tell_failures(failures.of_dbt(self.nodes, [], manifest, None, self.project, self.warehouse), [])

    def _tell_failures(self, told: list[failures.Failure], refused: list[str]) -> None:
        if refused:
            show(f"refused by their gates, which is no failure: {', '.join(refused)} (marts.gates tells why)")
        if told:
            self.not_well.append(f"{len(told)} failures" if len(told) > 1 else "1 failure")
            self._tell(
                "\n".join([f"== failures: {len(told)}", *failures.lines(told), f"all that dbt said: {self.log}"])
            )

    def _tell_what_stands(self, was: str | None) -> None:
        if not self.is_beside:
            self._tell(f"{self.warehouse} was built in place and may be half done: build again before you read it")
        elif self.beside.real.exists():
            held = f"it holds build {was}, the last whole one" if was else "it holds no whole build"
            self._tell(f"{self.warehouse} stays as it was: {held}.")
        else:
            self._tell(f"No warehouse was written at {self.warehouse}.")

    def _show(self) -> None:
        """The decisions and the report of the new warehouse."""
        decided = self._python("decisions", "commands.decisions", str(self.warehouse)) == 0
        show(f"warehouse  {self.warehouse}")
        if decided and self.wants_report:
            self._python("report", "reports", "--warehouse", str(self.warehouse))
            show(f"report     {self.project / 'reports' / 'site' / 'index.html'}")

    def _python(self, title: str, module: str, *arguments: str) -> int:
        show(f"== {title}")
        started = time.perf_counter()
        environment = {**self.environment, "CQOX_WAREHOUSE": str(self.warehouse)}
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments], env=environment, cwd=self.project, text=True
        )
        try:
            code = process.wait()
        finally:
            end(process)
        self._step(title, code, time.perf_counter() - started)
        return code


def _stop(number: int, frame: FrameType | None) -> None:
    # once: a second Ctrl-C must not interrupt the cleaning up
    for one in STOPS:
        signal.signal(one, signal.SIG_IGN)
    raise Stopped(number)


def main(arguments: list[str]) -> int:
    """Build all; arguments that are not its own go to dbt (``--vars``, ``--select``, ``--full-refresh``)."""
    parser = argparse.ArgumentParser(
        prog="python -m commands.build", description="Build the warehouse and its report.", allow_abbrev=False
    )
    parser.add_argument("--project", type=Path, default=ROOT, help="folder of a dbt project that installs this one")
    parser.add_argument("--no-report", action="store_true", help="leave the report out, where only the tables are read")
    given, for_dbt = parser.parse_known_args(arguments)
    # what is ignored stays so: nohup
    before = {one: signal.signal(one, _stop) for one in STOPS if signal.getsignal(one) != signal.SIG_IGN}
    try:
        return Build(given.project.resolve(), for_dbt, not given.no_report).run()
    except Problem as problem:
        print(f"build: {problem}", file=sys.stderr)
        return 1
    except Stopped as stopped:
        print(f"build: stopped by {signal.Signals(stopped.number).name}; what ran was ended", file=sys.stderr)
        return 128 + stopped.number
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
