"""What fails around the hook: a push is refused with a reason or judged as ever, nothing is corrupt, the next one works."""
import hashlib
import os
import sqlite3
import subprocess
import threading
import time

import pytest

from gate import HUBGATE, hubgate
from servers import BareRepository
from test_hook import CLEAN, POISON, WorkingCopy, assert_refused, server, work  # noqa: F401


def assert_sound(server, work, data=None):  # noqa: F811
    """The records hold, a clean push passes, a poisoned one does not, and a file that was judged stays judged."""
    data = data or server.data
    run = work.push(server)
    assert run.ok, run.output
    check = hubgate("audit", "verify", "--data", data)
    assert check.returncode == 0, check.stdout + check.stderr
    with sqlite3.connect(data / "hubgate.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    work.commit({"model.pkl": POISON})
    assert_refused(work.push(server), "model.pkl", "os.system")
    work.git("reset", "-q", "--hard", "HEAD~1")
    assert not list((server.path / "objects").glob("tmp_objdir*")), "a refused push leaves nothing"


def many_files(work, count=600):  # noqa: F811
    return work.commit({f"run{number}.md": os.urandom(30).hex().encode() * 20 for number in range(count)} | {"vocabulary.pkl": CLEAN})


@pytest.mark.parametrize("after", ["0.01", "0.1", "0.3", "0.8"])
def test_killed_at_any_moment(server, work, after):  # noqa: F811
    many_files(work)
    line = server.hook.read_text().splitlines()[1].removeprefix("exec ")
    server.set_hook(f"{line} & pid=$!; sleep {after}; kill -9 $pid 2>/dev/null; wait $pid")
    run = work.push(server)
    assert run.ok == bool(server.refs()), run.output  # it may have been done by then
    server.set_hook("exec " + line)
    assert_sound(server, work)


def test_the_disk_is_full(tmp_path):
    """Refused, and when there is room again the next push works on the same records."""
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(small)], check=True)
    try:
        server, work = BareRepository(tmp_path), WorkingCopy(tmp_path)  # noqa: F811
        data = small / "data"
        server.set_hook(server.hook.read_text().splitlines()[1].replace(str(server.data), str(data)))
        work.commit({"README.md": b"one\n"})
        assert work.push(server).ok
        for room in (600_000, 100_000, 4096, 0):  # less and less of it
            filler = small / "filler"
            filler.unlink(missing_ok=True)
            free = os.statvfs(small).f_bavail * os.statvfs(small).f_frsize
            filler.write_bytes(bytes(max(0, free - room)))
            many_files(work, 1500)
            before = server.refs()
            run = work.push(server)
            assert not run.ok and "remote: hubgate: " in run.output, (room, run.output)
            assert server.refs() == before
        filler.unlink()
        subprocess.run(["mount", "-o", "remount,size=64m", str(small)], check=True)
        assert_sound(server, work, data)
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


@pytest.mark.parametrize("megabytes", [40, 150, 400, 800])
def test_memory_runs_out(server, work, megabytes):  # noqa: F811
    work.commit({"README.md": b"one\n"})
    assert work.push(server).ok
    many_files(work)
    work.commit({"model.pkl": POISON, "large.txt": os.urandom(3_000_000).hex().encode()})
    line = server.hook.read_text().splitlines()[1]
    before = server.refs()
    server.set_hook(f"ulimit -v {megabytes * 1024}; {line}")
    run = work.push(server)
    assert not run.ok and server.refs() == before, run.output
    assert "terminate called" not in run.output and "remote: " in run.output, run.output
    server.set_hook(line)
    work.commit({"model.pkl": None})
    assert_refused(work.push(server), "model.pkl", "os.system")
    work.git("reset", "-q", "--hard", "HEAD~2")
    assert_sound(server, work)


def test_somebody_holds_the_store(server, work):  # noqa: F811
    work.commit({"README.md": b"one\n"})
    assert work.push(server).ok
    many_files(work, 50)
    holder = sqlite3.connect(server.data / "hubgate.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    before = server.refs()
    run = work.push(server)
    holder.execute("ROLLBACK")
    holder.close()
    assert_refused(run, "locked")
    assert server.refs() == before
    assert_sound(server, work)


def test_the_clock_was_ahead_and_is_right_again(server, work):  # noqa: F811
    """Every time on record lies ten years from now."""
    work.commit({"vocabulary.pkl": CLEAN})
    assert work.push(server).ok
    work.commit({"model.pkl": POISON})
    assert_refused(work.push(server), "model.pkl")
    added = hubgate("waiver", "add", hashlib.sha256(POISON).hexdigest(), "--data", server.data, "--rules", "*", "--reason",
                    "a test", "--approver", "security@example.invalid", "--expires", "1d")
    assert added.returncode == 0, added.stderr
    later = 10 * 366 * 86400
    with sqlite3.connect(server.data / "hubgate.db") as database:
        tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'")]
        moved = 0
        for table in tables:
            for column in (row[1] for row in database.execute(f"PRAGMA table_info({table})")):
                if column in ("made", "time", "created", "until", "seen", "not_before"):
                    database.execute(f"UPDATE {table} SET {column} = {column} + {later} WHERE {column} IS NOT NULL")
                    moved += 1
        database.execute("UPDATE waivers SET expires = 1")
        assert moved >= 3, tables
    assert_refused(work.push(server), "model.pkl")  # the waiver is over
    work.git("reset", "-q", "--hard", "HEAD~1")
    work.commit({"README.md": b"two\n"})
    assert_sound(server, work)


def test_two_pushes_into_one_store_at_once(tmp_path):
    people = []
    for name in ("a", "b", "c"):
        folder = tmp_path / name
        folder.mkdir()
        server = BareRepository(folder)  # noqa: F811
        server.set_hook(f"exec {HUBGATE} hook pre-receive --data {tmp_path / 'data'}")
        work = WorkingCopy(folder)  # noqa: F811
        many_files(work, 300)
        people.append((server, work))
    runs = {}
    threads = [threading.Thread(target=lambda s=s, w=w: runs.setdefault(s, w.push(s))) for s, w in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for server, work in people:
        assert runs[server].ok, runs[server].output
        assert_sound(server, work, tmp_path / "data")


def test_the_pusher_hangs_up(server, work):  # noqa: F811
    """Nobody reads the answer any more; what was pushed is refused or passes as a whole."""
    many_files(work, 300)
    pushing = subprocess.Popen(["git", "-C", str(work.path), "push", str(server.path), "main"], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    time.sleep(0.3)
    pushing.kill()
    pushing.wait()
    deadline = time.monotonic() + 60
    while list((server.path / "objects").glob("tmp_objdir*")) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert_sound(server, work)
