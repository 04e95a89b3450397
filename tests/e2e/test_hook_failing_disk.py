"""Disks that fail while a push is judged: it is refused, with a reason, and the next one works on the same records."""
import subprocess
from pathlib import Path

import pytest

from gate import hubgate
from servers import BareRepository
from test_hook import CLEAN, POISON, WorkingCopy, assert_refused, server, work  # noqa: F401
from test_hook_faults import assert_sound
from test_hook_lfs import pointer

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    library = tmp_path_factory.mktemp("disk") / "failing_disk.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", library, HERE / "failing_disk.c", "-ldl"], check=True)
    return library


def failing(server, disk, how, path):  # noqa: F811
    """The hook's line, with a disk that fails under `path`."""
    line = server.hook.read_text().splitlines()[1].removeprefix("exec ")
    server.set_hook(f"LD_PRELOAD={disk} FAILING_HOW={how} FAILING_PATH={path} exec {line}")
    return line


@pytest.mark.parametrize("how, path", [("read", "hubgate.db"), ("write", "hubgate.db"), ("map", "hubgate.db-shm"),
                                       ("write", "/audit/"), ("write", "hubgate.db-wal"), ("open", "/audit/")])
@pytest.mark.parametrize("before", ["empty", "used"])
def test_the_records_lie_on_it(server, work, disk, how, path, before):  # noqa: F811
    work.commit({"README.md": b"one\n"})
    if before == "used":
        assert work.push(server).ok
        work.commit({"README.md": b"two\n"})
    work.commit({"vocabulary.pkl": CLEAN, "model.pkl": POISON})
    refs = server.refs()
    line = failing(server, disk, how, path)
    run = work.push(server)
    assert_refused(run)
    assert server.refs() == refs
    assert "could not do its work" in run.output or "not-recorded" in run.output, run.output
    work.commit({"model.pkl": None})
    server.set_hook("exec " + line)
    assert_refused(work.push(server), "model.pkl", "os.system")
    work.git("reset", "-q", "--soft", "HEAD~2")
    work.git("commit", "-q", "-m", "without")
    assert_sound(server, work)


@pytest.mark.parametrize("how, what, limit", [("open", "tmp_objdir", "1"), ("open", "tmp_objdir", "1000"), ("map", ".idx", "1"),
                                              ("open", ".idx", "1"), ("open", "/repo.git/objects/", "1000")])
def test_the_repository_lies_on_it(server, work, disk, how, what, limit):  # noqa: F811
    """Objects of the push and of the repository, packed or loose: what can't be read passes under no name."""
    server.git("config", "receive.unpackLimit", limit)
    work.commit({"README.md": b"one\n", "config.json": b"{}\n"})
    assert work.push(server).ok
    work.commit({"vocabulary.pkl": CLEAN, "config.json": b"{\"a\": 1}\n"})
    refs = server.refs()
    line = failing(server, disk, how, what)
    assert_refused(work.push(server), "could not do its work")
    assert server.refs() == refs
    server.set_hook("exec " + line)
    assert_sound(server, work)


@pytest.mark.parametrize("how", ["read", "map"])
def test_lfs_objects_lie_on_it(server, work, disk, how):  # noqa: F811
    oid = server.put_lfs(POISON)
    work.commit({"README.md": b"one\n"})
    assert work.push(server).ok
    work.commit({"model.pkl": pointer(POISON)})
    refs = server.refs()
    line = failing(server, disk, how, oid)
    assert_refused(work.push(server))
    assert server.refs() == refs
    server.set_hook("exec " + line)
    assert_refused(work.push(server), "model.pkl", "os.system")
    check = hubgate("audit", "verify", "--data", server.data)
    assert check.returncode == 0, check.stdout


def test_a_disk_that_is_full_where_objects_are_written_aside(tmp_path, disk):
    server, work = BareRepository(tmp_path, config="hook:\n  big_blob: 1000\n"), WorkingCopy(tmp_path)  # noqa: F811
    work.commit({"large.pkl": POISON + b"\n" * 5000})
    line = failing(server, disk, "write", "/hookdata/tmp/")
    assert_refused(work.push(server), "could not do its work")
    server.set_hook("exec " + line)
    assert_refused(work.push(server), "large.pkl", "os.system")
