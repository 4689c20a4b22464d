"""The file beside the warehouse: what is wrong is one sentence, and a kill between any two steps leaves a whole one."""

import os
import resource
import signal
import struct
import subprocess
import sys
import time

import duckdb
import pytest

from commands import beside, warehouse
from commands.beside import Beside
from commands.build import ROOT
from commands.warehouse import Problem


@pytest.fixture
def path(tmp_path):
    """A warehouse of one table."""
    file = tmp_path / "w.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("create table t as select range as n, md5(range::text) as s from range(50000)")
        connection.execute("create table generation as select 1 as n")
    return file


def python(code, *arguments, **how):
    """A process that runs this code."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, **how,
    )  # fmt: skip


def generations(file):
    with duckdb.connect(str(file), read_only=True) as connection:
        return [n for (n,) in connection.execute("select n from generation order by n").fetchall()]


def crashed_writer(file, n):
    """A process that commits a row and dies: the row stands in the log beside the file."""
    code = "import duckdb, os, sys; c = duckdb.connect(sys.argv[1]); c.execute('insert into generation values (' + "
    code += "sys.argv[2] + ')'); os._exit(1)"
    assert python(code, file, n).wait() == 1
    assert file.with_name(f"{file.name}.wal").exists()


def built(file, n):
    """A build that adds a row."""
    one = Beside(file)
    with one.locked():
        one.fill()
        with duckdb.connect(str(one.file)) as connection:
            connection.execute("create table if not exists generation (n int)")
            connection.execute("insert into generation values (?)", [n])
        one.write_out()
        one.put_in_place()


def test_a_build_takes_the_place_of_the_warehouse_and_keeps_what_it_held(path):
    path.chmod(0o640)
    built(path, 2)
    assert generations(path) == [1, 2]
    assert path.stat().st_mode & 0o777 == 0o640
    with duckdb.connect(str(path), read_only=True) as connection:
        assert connection.execute("select count(*), count(distinct s) from t").fetchone() == (50000, 50000)
    assert sorted(file.name for file in path.parent.iterdir()) == [".w.duckdb.lock", "w.duckdb"]


def test_the_first_build_makes_the_warehouse(tmp_path):
    built(tmp_path / "new.duckdb", 1)
    assert generations(tmp_path / "new.duckdb") == [1]


def test_a_copy_without_the_system_call_is_the_same(path, monkeypatch):
    def refuses(*anything):
        raise OSError(18, "crosses devices")

    monkeypatch.setattr(beside.os, "copy_file_range", refuses)
    built(path, 2)
    assert generations(path) == [1, 2]


def test_what_stands_in_an_old_log_is_carried_over_once(path):
    crashed_writer(path, 2)
    built(path, 3)
    assert not path.with_name("w.duckdb.wal").exists()
    assert generations(path) == [1, 2, 3]


def test_a_link_stays_a_link(path, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "warehouse.duckdb"
    link.symlink_to(path)
    crashed_writer(path, 2)
    built(link, 3)
    assert link.is_symlink()
    assert generations(link) == generations(path) == [1, 2, 3]


KILLED = """
import os, signal, sys
from pathlib import Path
import duckdb, shutil
from commands import beside
step, _, nth = sys.argv[2].partition(' ')
where = {'duckdb': duckdb, 'os': os, 'shutil': shutil}.get(step.partition('.')[0], beside)
name, count = step.rpartition('.')[2], [int(nth or 1)]
true = getattr(where, name)
def kills(*given, **named):
    count[0] -= 1
    if not count[0] and sys.argv[3] == 'before':
        os.kill(os.getpid(), signal.SIGKILL)
    out = true(*given, **named)
    if not count[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    return out
one = beside.Beside(Path(sys.argv[1]))
with one.locked():
    one.fill()
    with duckdb.connect(str(one.file)) as connection:
        connection.execute('insert into generation values (9)')
    setattr(where, name, kills)
    one.write_out()
    one.put_in_place()
raise SystemExit('was not killed')
"""


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    "step", ["duckdb.connect", "_to_disk", "os.replace", "os.replace 2", "_to_disk 2", "shutil.rmtree"]
)
def test_a_kill_between_any_two_steps_leaves_a_whole_warehouse_and_the_next_build_needs_no_help(path, step, when):
    crashed_writer(path, 2)
    killed = python(KILLED, path, step, when)
    assert killed.wait(timeout=60) == -signal.SIGKILL, killed.communicate()[1]
    # the last checkpoint, the last state, or the new build: each a whole one, the log never replayed twice
    assert generations(path) in ([1], [1, 2], [1, 2, 9])
    built(path, 3)
    assert generations(path) in ([1, 2, 3], [1, 2, 3, 9])
    assert sorted(file.name for file in path.parent.iterdir()) == [".w.duckdb.lock", "w.duckdb"]


def test_a_log_that_was_moved_does_not_come_back_onto_a_warehouse_that_was_written_since(path):
    crashed_writer(path, 2)
    assert python(KILLED, path, "os.replace", "after").wait(timeout=60) == -signal.SIGKILL
    with duckdb.connect(str(path)) as connection:
        connection.execute("insert into generation values (7)")
    built(path, 3)
    assert generations(path) == [1, 3, 7]


HOLDS = """
import duckdb, sys, time
connection = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == 'read')
connection.execute('from generation').fetchall()
print('open', flush=True)
time.sleep(60)
"""


def test_a_writer_elsewhere_stops_the_build_by_name_and_a_reader_does_not(path):
    for how in ("write", "read"):
        other = python(HOLDS, path, how)
        try:
            assert other.stdout.readline() == "open\n"
            if how == "read":
                built(path, 2)
            else:
                with pytest.raises(Problem, match=rf"{path} is held open by .*\(PID {other.pid}\): end that session"):
                    built(path, 2)
        finally:
            other.kill()
            other.communicate()
    assert generations(path) == [1, 2]


def test_a_second_build_says_whose_the_first_is_and_touches_nothing(path, monkeypatch):
    monkeypatch.setattr(beside, "PATIENCE", 0.1)
    first, second = Beside(path), Beside(path)
    with first.locked():
        first.fill()
        told = rf"another build of {path} is running, process {os.getpid()} since 20.* UTC"
        with pytest.raises(Problem, match=told), second.locked():
            pass
        assert first.file.exists()
    with second.locked():
        pass


def checksum(block):
    found = 5381
    for (word,) in struct.iter_unpack("<Q", block):
        found ^= (word * 0xBF58476D1CE4E5B9) & (2**64 - 1)
    return struct.pack("<Q", found)


def text(file):
    file.write_text("study,estimate\n" * 2000)


def empty(file):
    file.write_bytes(b"")


def cut_in_a_block(file):
    os.truncate(file, file.stat().st_size - 100_000)


def cut_by_blocks(file):
    os.truncate(file, 12288 + 262144)


def head_only(file):
    os.truncate(file, 9000)


def newer(file):
    head = bytearray(file.read_bytes()[:4096])
    head[12] = 200
    with open(file, "r+b") as out:
        out.write(checksum(head[8:]) + head[8:])


def flipped_header(file):
    with open(file, "r+b") as out:
        out.seek(20)
        out.write(b"\xff")


def folder(file):
    file.unlink()
    file.mkdir()


def read_only(file):
    file.chmod(0o444)


DEFECTS = [
    (text, "is not a DuckDB file: move it away"), (empty, "is not a DuckDB file"), (cut_in_a_block, "is cut short"),
    (cut_by_blocks, "is cut short"), (head_only, "is cut short"), (newer, "was written by another version of DuckDB"),
    (flipped_header, "is damaged"), (folder, "is a folder, not a warehouse"), (read_only, r"is read-only: chmod u\+w"),
]  # fmt: skip


@pytest.mark.parametrize(("spoil", "words"), DEFECTS)
def test_each_defect_is_one_sentence_and_the_file_stays(path, spoil, words):
    spoil(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(Problem, match=words) as told:
        built(path, 2)
    assert str(path) in str(told.value)
    assert "\n" not in str(told.value)
    assert (path.read_bytes() if path.is_file() else None) == before
    assert not [file.name for file in path.parent.iterdir() if "building" in file.name]


@pytest.mark.parametrize(("spoil", "words"), [one for one in DEFECTS if one[0] is not read_only])
def test_reading_tells_the_same(path, spoil, words):
    spoil(path)
    with pytest.raises(Problem, match=words), warehouse.opened(path):
        pass


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(Problem, match=r"the folder .*nowhere is not there: make it"):
        built(tmp_path / "nowhere" / "w.duckdb", 1)


def test_a_full_disk_is_told_and_leaves_the_warehouse(path):
    """A limit on the size of files stands for the full disk: both are told by the same words."""
    code = """
import signal, sys
from pathlib import Path
from commands.beside import Beside
from commands.warehouse import Problem
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
one = Beside(Path(sys.argv[1]))
try:
    with one.locked():
        one.fill()
except Problem as problem:
    print(problem)
"""
    size = path.stat().st_size
    limit = (size // 2, size // 2)
    run = python(code, path, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit))
    out, err = run.communicate(timeout=60)
    assert f"the disk is full, or a limit on file sizes is reached, at {path}: free space" in out, err
    assert generations(path) == [1]
    assert not path.with_name(".w.duckdb.building").exists()


def test_a_disk_that_is_full_when_the_build_is_written_out_is_told(path):
    """DuckDB closes a file without a word though its log could not be emptied into it."""
    code = """
import resource, signal, sys
from pathlib import Path
import duckdb
from commands.beside import Beside
from commands.warehouse import Problem
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
one = Beside(Path(sys.argv[1]))
try:
    with one.locked():
        one.fill()
        limit = one.file.stat().st_size + 100_000
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        with duckdb.connect(str(one.file)) as connection:
            for name in ("more", "most"):
                connection.execute(f"create table {name} as select hash(range), md5(range::text) from range(900)")
        one.write_out()
        one.put_in_place()
except (Problem, duckdb.Error) as problem:
    print(type(problem).__name__, problem)
"""
    out, err = python(code, path).communicate(timeout=60)
    assert out.startswith("Problem the disk is full"), out + err
    assert generations(path) == [1]


def test_rights_of_the_folder_are_told(path):
    """As a user who may read only: nobody, where the tests run as root."""
    code = """
import sys
from pathlib import Path
from commands.beside import Beside
from commands.warehouse import Problem
import os
if os.geteuid() == 0:
    os.setuid(65534)
try:
    with Beside(Path(sys.argv[1])).locked():
        pass
except Problem as problem:
    print(problem)
"""
    for parent in path.parents[:4]:
        parent.chmod(0o755)
    path.chmod(0o666)
    path.parent.chmod(0o555)
    try:
        out, err = python(code, path).communicate(timeout=60)
    finally:
        path.parent.chmod(0o755)
    assert f"{path} or its folder cannot be read or written by this user: mend its rights" in out, err


def test_a_message_about_something_else_is_not_translated(path):
    assert warehouse.meaning('IO Error: No files found that match the pattern "data/x.csv"', path) is None
    until = time.monotonic() + 1
    assert warehouse.meaning("could not set lock on file " * 2000, path)
    assert time.monotonic() < until
