"""One call of dbt: its events become a line each on the console and a list of what did not go well.

dbt's log with every traceback is in logs/dbt.log; the console shows what ran, and of an error its last words.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

# JSON on the console is read here; the file keeps dbt's own form with all of its detail.
AS_EVENTS = ("--log-format", "json", "--log-format-file", "debug", "--no-use-colors")
RESULTS = (
    "LogModelResult", "LogTestResult", "LogSeedResult", "LogSnapshotResult", "LogNodeResult", "LogFunctionResult",
    "SkippingDetails", "FinishedRunningStats", "StatsLine",
)  # fmt: skip
# An error that is not of one node: a broken project, a profile, a lost connection. Its stack follows in another event.
GENERAL = ("MainEncounteredError", "GenericExceptionOnRun", "InternalErrorOnRun", "CannotConnectToDatabase")
# Said once for each study by any project that installs this one: how the marts find its studies.
EXPECTED = ("PackageNodeDependsOnRootProjectNode",)
BROKEN = ("error", "fail", "runtime error")


@dataclass(frozen=True)
class Node:
    """What became of one node.

    Attributes
    ----------
    unique_id, name, kind
        dbt's id, its name, and what it is: model, test, unit_test, seed, operation.
    status
        error, fail, warn, skipped.
    message
        What dbt says of it, without the traceback.
    failures
        Rows that a test found.
    attached
        The id of the model that a generic test is on; empty for others.
    relation
        The table that a model writes.
    compiled
        The file of the SQL that ran, relative to the project.
    """

    unique_id: str
    name: str
    kind: str
    status: str
    message: str = ""
    failures: int = 0
    attached: str = ""
    relation: str = ""
    compiled: str = ""


@dataclass
class Called:
    """One call's exit code, the nodes that did not go well, and the errors that are of no node."""

    code: int = 0
    nodes: dict[str, Node] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    other_lines: list[str] = field(default_factory=list)
    warned: dict[str, list[str]] = field(default_factory=dict)

    def broken(self) -> list[Node]:
        """Models that errored and tests that failed."""
        return [node for node in self.nodes.values() if node.status in BROKEN]

    def stale(self) -> list[Node]:
        """Nodes that this call should have made anew and did not."""
        return [node for node in self.nodes.values() if node.status in (*BROKEN, "skipped")]

    def hear(self, line: str) -> str | None:
        """Take in one line of dbt's; what the console shows of it."""
        try:
            event = json.loads(line)
            name, level, said = event["info"]["name"], event["info"]["level"], event["info"]["msg"]
            data = event.get("data") or {}
        except (ValueError, KeyError, TypeError):
            # a library's own words, a crash before dbt's log was there
            self.other_lines = [*self.other_lines[-199:], line.rstrip()]
            return None
        about = data.get("node_info") or {}
        if name in RESULTS:
            self._result(name, data, about)
            return str(said)
        if name in GENERAL:
            self.errors.append(last_words(said.removeprefix("Encountered an error:")))
        elif about.get("unique_id") in self.nodes:
            self._detail(name, data, about["unique_id"])
        elif level == "warn" and name not in EXPECTED:
            self.warned.setdefault(name, []).append(last_words(said))
        return None

    def _result(self, name: str, data: Mapping[str, Any], about: Mapping[str, Any]) -> None:
        status = "skipped" if name == "SkippingDetails" else str(about.get("node_status", "")).lower()
        if status not in (*BROKEN, "skipped", "warn"):
            return
        node = Node(
            about["unique_id"], about["node_name"], about["resource_type"], status,
            failures=int(data.get("num_failures") or 0), attached=str(data.get("attached_node") or ""),
            relation=str((about.get("node_relation") or {}).get("relation_name") or ""),
        )  # fmt: skip
        self.nodes[node.unique_id] = node

    def _detail(self, name: str, data: Mapping[str, Any], unique_id: str) -> None:
        node = self.nodes[unique_id]
        if name in ("RunResultError", "RunResultWarningMessage"):
            node = replace(node, message=last_words(str(data.get("msg", ""))))
        elif name == "SQLCompiledPath":
            node = replace(node, compiled=str(data.get("path", "")))
        self.nodes[unique_id] = node


def last_words(message: str) -> str:
    """A message on one line: the engine's picture of the line and a traceback's frames are left out."""
    kept: list[str] = []
    in_frames = False
    for line in message.splitlines():
        if line.strip().startswith("Traceback (most recent call last)"):
            in_frames = True
        elif line.strip().startswith(("> in macro", "> called by", "compiled code at")) or _is_frame(line, in_frames):
            continue
        elif line.strip().startswith("LINE "):
            break
        else:
            kept.append(line.strip())
    return " ".join(word for line in kept for word in line.split())


def _is_frame(line: str, in_frames: bool) -> bool:
    """dbt indents an error by two, so a frame of its traceback, its code and carets stand four or more to the right."""
    return in_frames and line.startswith("    ")


def call(
    command: Sequence[str], project: Path, environment: Mapping[str, str], show: Callable[[str], None], keep: int
) -> Called:
    """Run dbt in the project's folder and show its progress.

    Parameters
    ----------
    command
        dbt with its arguments, without options of logging.
    project
        The working folder.
    environment
        Of the call.
    show
        Takes a line for the console.
    keep
        A file descriptor that dbt holds open too: the build's lock.
    """
    called = Called()
    process = subprocess.Popen(
        [*command, *AS_EVENTS], cwd=project, env=dict(environment), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace", pass_fds=(keep,), preexec_fn=end_with_parent,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        for line in process.stdout:
            shown = called.hear(line)
            if shown and shown.strip():
                show(shown)
        called.code = process.wait()
    finally:
        end(process)
    return called


def end(process: subprocess.Popen[str], patience: float = 10.0) -> None:
    """End a child that still runs: asked first, then killed."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def end_with_parent() -> None:
    """A child of a killed build would write on in a file that the next build has removed: on Linux it dies with it."""
    if sys.platform == "linux":
        import ctypes
        import signal

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
