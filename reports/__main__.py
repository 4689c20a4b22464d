"""Command line: ``python -m reports`` writes the site; ``validate``, ``init`` and ``schema`` are beside it."""

from __future__ import annotations

import argparse
import errno
import sys
from pathlib import Path

from figures.data import WarehouseError

from . import pages, publish
from .beside import SiteError
from .downloads import schema as published
from .fences import PageError
from .validate import problems

EXTRA = "folder of further pages, beside ours"


def main(arguments: list[str] | None = None) -> int:
    """Run one of them. Returns 0, 1 where something failed, 2 where there is nothing to work on."""
    given = sys.argv[1:] if arguments is None else arguments
    run = {"validate": validate, "init": init, "schema": schema}.get(given[0] if given else "")
    try:
        return run(given[1:]) if run else render(given)
    except (WarehouseError, PageError, SiteError) as error:
        return told(str(error))
    except OSError as error:
        return told(of_the_disk(error))
    except KeyboardInterrupt:
        told("stopped; the report that was there stands")
        return 130


def told(reason: str) -> int:
    """Say on the console why nothing was written; the exit code of that."""
    print(f"reports: {reason}", file=sys.stderr)
    return 2


def of_the_disk(error: OSError) -> str:
    """What the system says of a file, as one sentence with the mend."""
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full{where}: free some space and run again; the report that was there stands"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY, errno.EXDEV):
        return f"the folder cannot be written{where}: name another with --out, one whose parent is writable too"
    return f"{error.strerror or error}{where}: mend the path or name another folder with --out"


def render(arguments: list[str]) -> int:
    """Write the site."""
    parser = argparse.ArgumentParser(
        prog="python -m reports", description="Writes the report from marts. Also: validate, init NAME, schema."
    )
    parser.add_argument("--warehouse", type=Path, default=Path("warehouse.duckdb"), help="DuckDB file")
    parser.add_argument("--out", type=Path, default=Path("reports/site"), help="folder of the HTML files")
    parser.add_argument("--studies", default="", help="names with commas; all without")
    parser.add_argument("--pages", type=Path, help=EXTRA)
    parser.add_argument("--manifest", type=Path, default=Path("target/manifest.json"), help="dbt's, for the lineage")
    parser.add_argument("--workers", type=int, default=0, help="processes for figures; the cores without")
    parser.add_argument("--no-downloads", action="store_true", help="pages and figures only")
    given = parser.parse_args(arguments)
    wanted = [name.strip() for name in given.studies.split(",") if name.strip()]
    order = publish.Order(
        given.warehouse, given.out, wanted, given.pages, given.manifest, given.workers, not given.no_downloads
    )
    return 1 if publish.write(order) else 0


def validate(arguments: list[str]) -> int:
    """Check every page without a warehouse; a line a problem."""
    parser = argparse.ArgumentParser(prog="python -m reports validate", description="Checks pages without rendering.")
    parser.add_argument("--pages", type=Path, help=EXTRA)
    given = parser.parse_args(arguments)
    found = pages.files(given.pages)
    told = [line for name, path in found.items() for line in problems(name, path)]
    for line in told:
        print(line, file=sys.stderr)
    print(f"{len(found)} pages, {len(told)} problems")
    return 1 if told else 0


def init(arguments: list[str]) -> int:
    """Add a page."""
    parser = argparse.ArgumentParser(prog="python -m reports init", description="Adds a page that renders at once.")
    parser.add_argument("name", help="small letters, digits and _")
    parser.add_argument("--pages", type=Path, default=pages.OWN, help="folder of the page; ours without")
    given = parser.parse_args(arguments)
    path = pages.init(given.name, given.pages)
    print(f"{path}: edit it, then python -m reports validate")
    return 0


def schema(arguments: list[str]) -> int:
    """Write the published schema of card.json anew, from the contract of marts.decision_cards."""
    argparse.ArgumentParser(prog="python -m reports schema", description=schema.__doc__).parse_args(arguments)
    published.PUBLISHED.write_text(published.text(), encoding="utf-8")
    print(published.PUBLISHED)
    return 0


if __name__ == "__main__":
    sys.exit(main())
