"""Modules that are imported while models run in threads."""

import ast
import importlib
import threading
import time
from pathlib import Path

from estimators.imports import load

ESTIMATORS = Path(__file__).parents[2] / "estimators"


def test_threads_import_one_at_a_time(monkeypatch):
    inside, most = [], []

    def slow(name):
        inside.append(name)
        most.append(len(inside))
        time.sleep(0.02)
        inside.remove(name)
        return name

    monkeypatch.setattr(importlib, "import_module", slow)
    threads = [threading.Thread(target=load, args=(f"module{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1, 1, 1, 1]


def test_a_module_may_load_another_while_it_is_imported(monkeypatch):
    monkeypatch.setattr(importlib, "import_module", lambda name: load("inner") if name == "outer" else name)
    assert load("outer") == "inner"


def test_functions_import_circular_packages_by_load_alone():
    packages = {"sklearn", "econml", "scipy", "statsmodels"}
    found = []
    for path in ESTIMATORS.rglob("*.py"):
        tree = ast.parse(path.read_text())
        for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
            for node in ast.walk(function):
                names = [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
                names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                found += [f"{path.name}:{node.lineno}" for name in names if name.split(".")[0] in packages]
    assert not found
