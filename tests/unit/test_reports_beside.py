"""The report takes its place when it is whole: kills, locks, full disks, other people's files, and runs of a part."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import duckdb
import pytest
from unit import figures_fixture

from reports import beside, drawing, making, publish
from reports.__main__ import main
from reports.beside import SiteError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return figures_fixture.build(tmp_path_factory.mktemp("marts") / "warehouse.duckdb")


def asked(warehouse: Path, site: Path, *more: str) -> list[str]:
    return ["--warehouse", str(warehouse), "--out", str(site), "--manifest", "none", "--workers", "1",
            "--no-downloads", *more]  # fmt: skip


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def made_site(folder: Path, text: str = "old · CQOx</title>") -> Path:
    folder.mkdir()
    (folder / "index.html").write_text(text)
    return folder


def test_the_new_folder_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    site = made_site(tmp_path / "site")
    site.chmod(0o750)
    with beside.beside(site) as new:
        (new / "index.html").write_text("new")
        assert (site / "index.html").read_text() == "old · CQOx</title>"
    assert (site / "index.html").read_text() == "new"
    assert site.stat().st_mode & 0o777 == 0o750
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def test_a_first_site_and_one_behind_a_symbolic_link(tmp_path: Path) -> None:
    with beside.beside(tmp_path / "a" / "b") as new:
        (new / "index.html").write_text("· CQOx</title>")
    (tmp_path / "linked").symlink_to(tmp_path / "a" / "b")
    with beside.beside(tmp_path / "linked") as new:
        (new / "index.html").write_text("second")
    assert (tmp_path / "linked").is_symlink()
    assert (tmp_path / "a" / "b" / "index.html").read_text() == "second"


def test_an_error_leaves_the_old_one(tmp_path: Path) -> None:
    site = made_site(tmp_path / "site")

    def half() -> None:
        with beside.beside(site) as new:
            (new / "index.html").write_text("half")
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        half()
    assert "old" in (site / "index.html").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


@pytest.mark.parametrize("moment", ["site away", "new in its place"])
def test_without_an_exchange_a_kill_between_the_renames_is_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    site = made_site(tmp_path / "site")
    monkeypatch.setattr(beside, "_exchange", lambda *_: False)
    with beside.beside(site) as new:
        (new / "index.html").write_text("two renames do as well · CQOx</title>")
    assert "two renames" in (site / "index.html").read_text()
    # what a kill leaves at either moment
    left = made_site(tmp_path / ".site.building.0123abcd", "new")
    if moment == "site away":
        site.rename(tmp_path / ".site.old")
    else:
        made_site(tmp_path / ".site.old", "older")
    with pytest.raises(ValueError, match="stop"), beside.beside(site):
        raise ValueError("stop")
    assert "two renames" in (site / "index.html").read_text()
    assert not left.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def test_two_runs_do_not_mix(tmp_path: Path) -> None:
    site = tmp_path / "site"
    with beside.beside(site):
        with pytest.raises(SiteError, match=r"another report is being written to .*site: wait until it is done"):
            beside.beside(site).__enter__()
        with beside.beside(tmp_path / "other"):
            pass
    with beside.beside(site):
        pass


@pytest.mark.parametrize("kind", ["file", "folder of others", "root"])
def test_a_folder_that_is_no_report_is_left_alone(
    warehouse: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    out = tmp_path / "mine"
    if kind == "folder of others":
        out.mkdir()
        (out / "thesis.txt").write_text("years of work")
    elif kind == "file":
        out.write_text("years of work")
    before = content(tmp_path)
    given = asked(warehouse, out / "below" if kind == "root" else out, "--studies", "card")
    if kind == "root":
        out.write_text("a file where a folder should be")
        before = content(tmp_path)
    assert main(given) == 2
    error = capsys.readouterr().err.strip()
    assert len(error.splitlines()) == 1
    assert "--out" in error
    assert content(tmp_path) == before


def test_files_of_others_in_the_site_stay(warehouse: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    assert main(asked(warehouse, site, "--studies", "card")) == 0
    (site / "CNAME").write_text("reports.example.org")
    (site / ".git").mkdir()
    (site / ".git" / "HEAD").write_text("ref")
    assert main(asked(warehouse, site, "--studies", "card")) == 0
    assert (site / "CNAME").read_text() == "reports.example.org"
    assert (site / ".git" / "HEAD").read_text() == "ref"


def test_a_run_of_a_part_keeps_the_other_pages_and_says_so(
    warehouse: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site = tmp_path / "site"
    assert main(asked(warehouse, site, "--studies", "card,senate")) == 0
    kept = {name: data for name, data in content(site).items() if "senate" in name}
    capsys.readouterr()
    assert main(asked(warehouse, site, "--studies", "card")) == 0
    assert "figures 1/1 card: " in (said := capsys.readouterr().out)
    assert "unchanged" in said
    assert {name: data for name, data in content(site).items() if "senate" in name} == kept
    index = (site / "index.html").read_text()
    assert '<b>Not part of this run:</b> <a href="senate.html">senate</a>.' in index
    assert 'id="q-card"' in index
    assert 'id="q-senate"' not in index
    with duckdb.connect(str(path := tmp_path / "w.duckdb")) as connection:
        connection.execute(f"attach '{warehouse}' as whole (read_only)")
        connection.execute("copy from database whole to w")
        connection.execute("delete from marts.decision_cards where study <> 'card'")
    assert main(asked(path, site)) == 0
    assert not [name for name in content(site) if "senate" in name]
    assert "Not part of this run" not in (site / "index.html").read_text()


def test_what_is_linked_is_not_written_into(warehouse: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that fails at its very end has changed no byte of the site, though it redrew every figure."""
    site = tmp_path / "site"
    given = [one for one in asked(warehouse, site, "--studies", "card") if one != "--no-downloads"]
    assert main(given) == 0
    before = content(site)
    monkeypatch.setattr(drawing, "rows_hash", lambda *_, **__: "another")

    def stopped(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "site.json")

    monkeypatch.setattr(beside, "_swap", stopped)
    assert main(given) == 2
    assert content(site) == before
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


@pytest.mark.parametrize(
    ("code", "told"),
    [(errno.ENOSPC, "the disk is full"), (errno.EROFS, "the folder cannot be written")],
)
@pytest.mark.parametrize("where", ["figure", "page"])
def test_a_full_disk_is_one_sentence_and_the_old_site_stands(
    warehouse: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    code: int, told: str, where: str,
) -> None:  # fmt: skip
    site = made_site(tmp_path / "site")

    def full(*_: Any, **__: Any) -> Any:
        raise OSError(code, os.strerror(code), "somewhere.svg")

    monkeypatch.setattr(*((drawing, "_written", full) if where == "figure" else (publish, "put", full)))
    assert main(asked(warehouse, site, "--studies", "card")) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith(f"reports: {told} (somewhere.svg): ")
    assert len(error.splitlines()) == 1
    assert "old" in (site / "index.html").read_text()


def test_a_warehouse_that_is_replaced_meanwhile_gives_no_half_report(
    warehouse: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (path := tmp_path / "w.duckdb").write_bytes(warehouse.read_bytes())
    task = making.task

    def replaced(*given: Any) -> making.Task:
        found = task(*given)
        (tmp_path / "new.duckdb").write_bytes(warehouse.read_bytes())
        (tmp_path / "new.duckdb").rename(path)
        return found

    monkeypatch.setattr(making, "task", replaced)
    assert main(asked(path, tmp_path / "site", "--studies", "card")) == 2
    assert "a build replaced" in (told := capsys.readouterr().err)
    assert "run it again" in told
    assert not (tmp_path / "site").exists()


def test_a_process_that_is_ended_costs_its_study_alone(warehouse: Path, tmp_path: Path) -> None:
    """The second study's process ends itself; the first and the third are made in processes of their own."""
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from reports import making\n"
        "whole = making.load\n"
        "making.load = lambda connection, study: os._exit(9) if study == 'nsw' else whole(connection, study)\n"
        "if __name__ == '__main__':\n"
        "    given = making.task(Path(sys.argv[1]), Path(sys.argv[2]), False)\n"
        "    for study, made in making.each(given, ['card', 'nsw', 'senate'], 2):\n"
        "        print(study, made if isinstance(made, Exception) else len(made.drawn.shown) > 0)\n"
    )
    (script := tmp_path / "run.py").write_text(code)
    found = subprocess.run(
        [sys.executable, script, warehouse, tmp_path / "site"], capture_output=True, text=True, timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True,
    )  # fmt: skip
    assert sorted(found.stdout.splitlines()) == ["card True", f"nsw {making.ENDED}", "senate True"]


def test_a_kill_leaves_the_last_whole_site(warehouse: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    assert main(asked(warehouse, site, "--studies", "card")) == 0
    before = content(site)
    command = [sys.executable, "-m", "reports", "--warehouse", warehouse, "--out", site, "--workers", "2"]
    running = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert running.stdout is not None
    assert "figures 1/7" in running.stdout.readline()
    children = [int(pid) for pid in Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()]
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert content(site) == before
    assert list(tmp_path.glob(".site.building.*"))
    ends = time.monotonic() + 20
    while (alive := [pid for pid in children if is_alive(pid)]) and time.monotonic() < ends:
        time.sleep(0.05)
    assert alive == []
    assert main(asked(warehouse, site, "--studies", "card")) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
