"""Where dbt's profile puts the warehouse: does it read CQOX_WAREHOUSE, and which file is it where it does not?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import yaml

from .warehouse import Problem


def file_of(project: Path, arguments: list[str], environment: Mapping[str, str]) -> str:
    """The path of the DuckDB file that dbt would open, as the profile gives it.

    Parameters
    ----------
    project
        The dbt project's folder.
    arguments
        What is handed to dbt; ``--profile``, ``--target`` and ``--profiles-dir`` count.
    environment
        What ``env_var`` reads.

    Raises
    ------
    Problem
        Where the project, the profile or its target is missing, or is of another kind than DuckDB.
    """
    folder = Path(_option(arguments, "--profiles-dir") or environment["DBT_PROFILES_DIR"])
    listed = _read(project / "dbt_project.yml", "no dbt project: name its folder by --project")
    profiles = project / folder / "profiles.yml"
    known = _read(profiles, "no profile for dbt: put one there, or name its folder by DBT_PROFILES_DIR")
    name = _option(arguments, "--profile") or environment.get("DBT_PROFILE") or listed.get("profile")
    if name not in known:
        raise Problem(f"{profiles} has no profile '{name}', which {project / 'dbt_project.yml'} asks for: add it there")
    outputs = known[name].get("outputs") or {}
    target = _option(arguments, "--target", "-t") or environment.get("DBT_TARGET")
    target = target or _rendered(known[name].get("target", "default"), environment, profiles)
    if target not in outputs:
        raise Problem(f"{profiles} has no output '{target}' in profile '{name}': it has {', '.join(outputs) or 'none'}")
    if outputs[target].get("type") != "duckdb":
        raise Problem(
            f"output '{target}' of {profiles} is no DuckDB file, so it cannot be built beside and renamed: "
            "run dbt build with it instead"
        )
    path = _rendered(str(outputs[target].get("path", ":memory:")), environment, profiles)
    check_is_file(path, str(profiles))
    return path


def check_is_file(path: str, where: str) -> None:
    """Hold that a warehouse's path is one of a file.

    Raises
    ------
    Problem
        Where it is DuckDB's memory or an address.
    """
    if path.startswith(":") or "://" in path or path.split(":")[0] in ("md", "motherduck", "ducklake"):
        raise Problem(f"{where} names the warehouse '{path}', which is no file: name a file there, or run dbt build")


def _read(file: Path, otherwise: str) -> dict[str, Any]:
    if not file.is_file():
        raise Problem(f"{file} is not there, so there is {otherwise}")
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise Problem(f"{file} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(found, dict):
        raise Problem(f"{file} is empty or no mapping: see this project's own for its form")
    return found


def _rendered(text: str, environment: Mapping[str, str], file: Path) -> str:
    def env_var(name: str, default: str | None = None) -> str:
        value = environment.get(name, default)
        if value is None:
            raise Problem(f"{file} reads the environment variable {name}, which is not set: set it and build again")
        return value

    try:
        return jinja2.Environment().from_string(text).render(env_var=env_var)
    except jinja2.TemplateError as error:
        raise Problem(f"{file} cannot be read, '{text}': {error}") from None


def _option(arguments: list[str], *names: str) -> str | None:
    """The value of one of dbt's options among the arguments, the last where it is given twice."""
    value = None
    for i, word in enumerate(arguments):
        head, equals, tail = word.partition("=")
        if head in names:
            value = tail if equals else next(iter(arguments[i + 1 :]), None)
    return value
