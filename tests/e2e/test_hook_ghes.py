"""GitHub Enterprise Server as it is documented: an environment of its own, no LFS bytes, no daemon, five seconds in all."""
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess

import pytest

from forges import Ghes
from gate import HUBGATE
from servers import BareRepository
from test_hook import CLEAN, POISON, WorkingCopy, assert_refused
from test_hook_lfs import pointer


@pytest.fixture
def work(tmp_path):
    return WorkingCopy(tmp_path)


def installed(tmp_path, *options):
    """What the administrator uploads, made on another machine."""
    upload = tmp_path / "upload"
    run = subprocess.run([HUBGATE, "hook", "install", "--server", "ghes", "--global", "--hooks", str(upload), "--data", "/var/lib/hubgate",
                          *options], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    script = upload / "hubgate-pre-receive.sh"
    # The program lies elsewhere in the environment.
    script.write_text(script.read_text().replace(HUBGATE, "/usr/bin/hubgate"))
    return Ghes(tmp_path / "ghes", script)


def push(work, server, *refs):
    return work.git("push", str(server.path), *(refs or ("main",)), check=False)


def audit(server):
    return [json.loads(line) for file in sorted((server.root / "var/lib/hubgate/audit").glob("*.jsonl"))
            for line in file.read_text().splitlines()]


def test_in_its_environment(tmp_path, work):
    server = installed(tmp_path, "--policy", "guarded")
    head = work.commit({"vocabulary.pkl": CLEAN, "README.md": b"# hi\n"})
    run = push(work, server)
    assert run.ok, run.output
    work.commit({"model.pkl": POISON})
    assert_refused(push(work, server), "model.pkl", "os.system")
    assert server.refs() == {"refs/heads/main": head}
    assert [(line["repo"], line["who"], line["server"], line["outcome"]) for line in audit(server) if line["event"] == "push"] == [
        ("team/model", "alice", "github", "passed"), ("team/model", "alice", "github", "refused")]


def test_lfs_objects_can_not_be_seen_from_inside(tmp_path, work):
    """Where the server keeps them is not mounted: what no record vouches for is refused."""
    server = installed(tmp_path)
    work.commit({"vocabulary.pkl": pointer(CLEAN)})
    assert_refused(push(work, server), "is not on the server", hashlib.sha256(CLEAN).hexdigest())
    # The records of a gate that has seen the bytes go into the environment, and the hook takes its word.
    (tmp_path / "gate").mkdir()
    gate, other = BareRepository(tmp_path / "gate"), WorkingCopy(tmp_path / "gate")
    other.commit({"vocabulary.pkl": CLEAN, "model.pkl": POISON})
    assert not other.push(gate).ok
    shutil.rmtree(server.root / "var/lib/hubgate")
    shutil.copytree(gate.data, server.root / "var/lib/hubgate")
    os.chmod(server.root / "var/lib/hubgate", 0o700)
    (server.root / "etc/hubgate.yaml").write_text("data: /var/lib/hubgate\nlfs: {known: accept}\n")
    server.hook.write_text(server.hook.read_text().replace("hook pre-receive", "hook pre-receive --config /etc/hubgate.yaml"))
    run = push(work, server)
    assert run.ok, run.output
    work.commit({"model.pkl": pointer(POISON)})
    assert_refused(push(work, server), "model.pkl", "os.system")
    work.commit({"model.pkl": pointer(CLEAN + b"\n")})
    assert_refused(push(work, server), "is not on the server")


def test_only_looking_up(tmp_path, work):
    server = installed(tmp_path, "--lookup-only")
    assert "--lookup-only" in server.hook.read_text() and "--deadline 4s" in server.hook.read_text()
    head = work.commit({"vocabulary.pkl": CLEAN})
    assert_refused(push(work, server), "never scanned", "vocabulary.pkl", hashlib.sha256(CLEAN).hexdigest())
    scanning = server.hook.read_text()
    server.hook.write_text(scanning.replace(" --lookup-only", ""))
    run = push(work, server, "main:refs/heads/other")
    assert run.ok, run.output
    server.hook.write_text(scanning)
    run = push(work, server)
    assert run.ok, run.output
    assert server.refs()["refs/heads/main"] == head


def test_a_daemon_can_not_be_reached(tmp_path, work):
    server = installed(tmp_path, "--daemon", "/run/hubgate/hook.sock")
    head = work.commit({"vocabulary.pkl": CLEAN})
    run = push(work, server)
    assert run.ok and "daemon does not answer" in run.output, run.output  # it may keep records: scanned without
    server.hook.write_text(server.hook.read_text().replace("hook pre-receive", "hook pre-receive --config /etc/hubgate.yaml"))
    (server.root / "etc/hubgate.yaml").write_text("hook: {without_daemon: refuse}\n")
    work.commit({"README.md": b"# hi\n"})
    assert_refused(push(work, server), "daemon does not answer")
    assert server.refs() == {"refs/heads/main": head}


def test_its_own_deadline_comes_before_the_servers(tmp_path, work):
    """Also when it waits for what never comes: the pusher reads why, and not that a hook was killed."""
    server = installed(tmp_path)
    work.commit({"README.md": b"# hi\n"})
    assert push(work, server).ok
    head = work.commit({"vocabulary.pkl": CLEAN})
    before = server.refs()
    holder = sqlite3.connect(server.root / "var/lib/hubgate/hubgate.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    run = push(work, server)
    holder.execute("ROLLBACK")
    holder.close()
    assert_refused(run, "could not do its work", "it took too long")
    assert server.refs() == before
    run = push(work, server)
    assert run.ok and server.refs() == {"refs/heads/main": head}, run.output


def test_nothing_to_write_to(tmp_path, work):
    """An environment that is mounted read-only can't keep decisions: nothing passes."""
    server = installed(tmp_path)
    hook = server.path / "hooks/pre-receive"
    hook.write_text(hook.read_text().replace('mount -t proc proc', f'mount -t tmpfs -o ro none "{server.root}/var/lib/hubgate" && mount -t proc proc'))
    work.commit({"README.md": b"# hi\n"})
    assert_refused(push(work, server), "could not do its work", "/var/lib/hubgate")
    assert server.refs() == {}
