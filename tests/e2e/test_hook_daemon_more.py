"""With the daemon: LFS from other sources, objects that come late, what is in repositories already, a new policy meanwhile."""
import hashlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import threading

import pytest

from gate import HUBGATE, hubgate
from hub.samples import safetensors
from lfs_server import LfsServer
from servers import BareRepository
from test_hook import WorkingCopy, assert_refused
from test_hook_daemon import (AS_HOOK_USER, CLEAN, HOOK_USER, POISON, Daemon, ForeignRepository, descriptors_of, folder, make_daemon,  # noqa: F401
                              push, wait_until, work)
from test_hook_lfs import pointer

WEIGHTS = safetensors({"w": 4096})


def oid_of(data):
    return hashlib.sha256(data).hexdigest()


def configured(folder, daemon, text):  # noqa: F811
    """A repository of another account whose hook has this configuration."""
    (folder / "hook.yaml").write_text(text + f"hook:\n  daemon: {daemon.socket}\n  without_daemon: refuse\n")
    return ForeignRepository(folder, "--config", str(folder / "hook.yaml"))


def pending(daemon, *arguments, code=0):
    run = hubgate("hook", "pending", "--json", "--data", daemon.data, *arguments)
    assert run.returncode == code, run.stdout + run.stderr
    return {one["path"]: one for one in map(json.loads, run.stdout.splitlines())}, run.stderr


def test_the_batch_api_is_asked_by_the_hook_and_judged_by_the_daemon(folder, make_daemon, work):  # noqa: F811
    daemon = make_daemon()
    lfs = LfsServer(str(folder / "store/{repo}"))
    try:
        server = configured(folder, daemon, f"lfs:\n  sources:\n    - batch: {lfs.url}/{{repo}}.git/info/lfs\n")
        for data in (CLEAN, POISON):
            lfs.put("repo", data)
        head = work.commit({"vocabulary.pkl": pointer(CLEAN)})
        run = push(work, server)
        assert run.ok, run.output
        work.commit({"model.pkl": pointer(POISON)})
        assert_refused(push(work, server), "model.pkl", "os.system", oid_of(POISON))
        work.commit({"model.pkl": pointer(WEIGHTS)})
        work.git("reset", "-q", "--soft", "HEAD~2")
        work.git("commit", "-q", "-m", "absent")
        assert_refused(push(work, server), "is not on the server", oid_of(WEIGHTS))
        lfs.fault = "500"
        assert_refused(push(work, server), "could not do its work", "LFS API")
        assert server.refs() == {"refs/heads/main": head}
        assert daemon.knows(CLEAN) and daemon.knows(POISON)
    finally:
        lfs.stop()


def test_what_comes_late_is_kept_by_the_daemon(folder, make_daemon, work):  # noqa: F811
    daemon = make_daemon()
    server = configured(folder, daemon, "lfs:\n  absent: pending\n")
    work.commit({"model.pkl": pointer(POISON), "vocabulary.pkl": pointer(CLEAN), "never.pkl": pointer(WEIGHTS)})
    run = push(work, server)
    assert run.ok and "lfs-object-pending" in run.output, run.output
    assert set(pending(daemon)[0]) == {"model.pkl", "vocabulary.pkl", "never.pkl"}
    # The same debt twice is one; the log may be moved away, and the daemon started anew.
    assert push(work, server, "main:refs/heads/main").ok
    first = pending(daemon)[0]["model.pkl"]
    assert daemon.stop() == 0
    shutil.rmtree(daemon.data / "audit")
    daemon.start()
    assert len(pending(daemon)[0]) == 3 and pending(daemon)[0]["model.pkl"] == first
    for data in (POISON, CLEAN):
        server.put_lfs(data)
    server.give()
    # Beside the daemon, into the same records.
    owed, said = pending(daemon, "--scan", code=1)
    assert {path: one["outcome"] for path, one in owed.items()} == {"model.pkl": "blocked", "vocabulary.pkl": "allowed",
                                                                    "never.pkl": "absent"}
    assert "os.system" in said and daemon.knows(POISON)
    assert set(pending(daemon)[0]) == {"never.pkl"}
    assert_refused(push(work, server, "main:refs/heads/other"), "model.pkl", "os.system")


def test_a_peer_settles_nobodys_debts(folder, make_daemon, work):  # noqa: F811
    """The event that says so is the gate's own; from a hook it is a line in the log and no more."""
    from test_hook_daemon import EVENT, Peer, text
    daemon = make_daemon()
    server = configured(folder, daemon, "lfs:\n  absent: pending\n")
    work.commit({"model.pkl": pointer(POISON)})
    assert push(work, server).ok
    fields = {"git_dir": str(server.path), "repo": "repo", "oid": oid_of(POISON), "path": "model.pkl", "ref": "refs/heads/main"}
    assert Peer(daemon).ask(EVENT, text(b"lfs-settled") + text(json.dumps(fields).encode()))[0] == 64
    assert set(pending(daemon)[0]) == {"model.pkl"}
    for wrong in ({}, fields | {"oid": "x"}, fields | {"path": "x" * 100_000}):
        assert Peer(daemon).ask(EVENT, text(b"lfs-pending") + text(json.dumps(wrong).encode()))[0] == 65
    assert len(pending(daemon)[0]) == 1


def unseen(server, work, *refs):  # noqa: F811
    """As it was before the gate was installed."""
    server.hook.chmod(0o644)
    run = push(work, server, *(refs or ("main",)))
    assert run.ok, run.output
    server.hook.chmod(0o755)


def as_hook_user(folder, *arguments):  # noqa: F811
    return subprocess.run([*AS_HOOK_USER.split(), folder / "hubgate", "hook", *map(str, arguments)], capture_output=True, text=True,
                          check=False, timeout=120, cwd="/")


def test_a_repository_is_scanned_by_the_daemon(folder, make_daemon, work):  # noqa: F811
    daemon = make_daemon()
    server = ForeignRepository(folder, "--daemon", str(daemon.socket))
    work.commit({f"{number}.txt": b"text %d\n" % number for number in range(50)} | {"big.txt": b"text of a file\n" * 700_000})
    unseen(server, work)
    run = as_hook_user(folder, "scan-repo", server.path, "--daemon", daemon.socket)
    assert run.returncode == 0 and "1 repositories: 0 with objects" in run.stderr, run.stdout + run.stderr
    # What was judged stands for the pushes of the same account: only what is new costs something.
    work.commit({"new.txt": b"new\n"})
    run = push(work, server, "main:refs/heads/other")
    assert run.ok, run.output
    pushed = [json.loads(line) for line in daemon.audit().splitlines() if '"event":"push"' in line]
    assert [line["outcome"] for line in pushed] == ["inventory", "passed"] and pushed[-1]["files"] == 1, pushed

    poisoned = work.commit({"models/model.pkl": POISON})
    unseen(server, work)
    run = as_hook_user(folder, "scan-server", folder, "--daemon", daemon.socket, "--format", "jsonl")
    assert run.returncode == 1, run.stdout + run.stderr
    (line,) = [json.loads(line) for line in run.stdout.splitlines()]
    assert line["path"] == f"repo@{poisoned[:12]}:models/model.pkl" and line["verdict"] == "malicious"
    assert daemon.knows(POISON)
    run = as_hook_user(folder, "scan-repo", server.path, "--daemon", daemon.socket, "--policy", "strict")
    assert run.returncode == 3 and "a policy of its own" in run.stderr and run.stderr.count("\n") == 1
    assert daemon.stop() == 0
    run = as_hook_user(folder, "scan-repo", server.path, "--daemon", daemon.socket)
    assert run.returncode == 3 and "daemon does not answer" in run.stderr, run.stderr


def test_a_repository_is_scanned_beside_the_daemon(folder, make_daemon, work):  # noqa: F811
    """Two processes with one store: pushes go on, both find what the other has scanned, and the records hold."""
    daemon = make_daemon()
    server = ForeignRepository(folder, "--daemon", str(daemon.socket))
    for start in range(0, 3000, 1000):
        work.commit({f"{start}/{number}.txt": b"text %d %d\n" % (start, number) for number in range(1000)})
    work.commit({"model.pkl": POISON})
    unseen(server, work)
    scanning = subprocess.Popen([HUBGATE, "hook", "scan-repo", server.path, "--data", daemon.data, "--format", "jsonl"],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    (folder / "other").mkdir()
    other, second = BareRepository(folder / "other", "--daemon", str(daemon.socket)), WorkingCopy(folder / "other")
    pushes = 0
    while scanning.poll() is None or pushes < 2:
        second.commit({"notes.md": b"notes %d\n" % pushes, f"{pushes}.txt": b"text 0 %d\n" % pushes})
        run = second.push(other)
        assert run.ok, run.output
        pushes += 1
    output, errors = scanning.communicate()
    assert scanning.returncode == 1, errors
    assert {json.loads(line)["verdict"] for line in output.splitlines()} == {"malicious"}
    check = hubgate("audit", "verify", "--data", daemon.data)
    assert check.returncode == 0, check.stdout + check.stderr
    with sqlite3.connect(daemon.data / "hubgate.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert daemon.knows(POISON)


RULES = "version: 1\nrules:\n  - {id: dangerous, match: {severity: malicious}, action: %s}\n  - {id: rest, action: allow}\n"


@pytest.mark.parametrize("before, after", [("annotate, override: malicious", "block"), ("block", "annotate, override: malicious")])
def test_a_new_policy_in_the_middle_of_a_push(folder, make_daemon, work, before, after):  # noqa: F811
    """SIGHUP: the push in work is decided once, by one of the two, and leaves no record that the other policy did not earn."""
    policy = folder / "policy.yaml"
    policy.write_text(RULES % before)
    daemon = make_daemon(f"policy: {policy}\nhook:\n  trusted_users: [{HOOK_USER}]\n")
    server = ForeignRepository(folder, "--daemon", str(daemon.socket))
    work.commit({"model.pkl": POISON})
    parent = daemon.worker_parent()
    os.kill(parent, signal.SIGSTOP)
    outcome = []
    pushing = threading.Thread(target=lambda: outcome.append(push(work, server)))
    try:
        pushing.start()
        wait_until(lambda: "hubgate-bytes" in descriptors_of(daemon.process.pid))
        policy.write_text(RULES % after)
        daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "policy-reloaded" in daemon.audit())
    finally:
        os.kill(parent, signal.SIGCONT)
    pushing.join(60)
    (run,) = outcome
    assert "model.pkl" in run.output and "could not do its work" not in run.output, run.output
    assert run.ok == bool(server.refs())
    # The next one is the new policy's, whatever the first one left behind.
    run = push(work, server, "main:refs/heads/other")
    assert run.ok == (after != "block"), run.output
    # A policy that can't be read changes nothing.
    policy.write_text("version: 1\nrules: [")
    daemon.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "not reloaded" in daemon.log.read_text())
    run = push(work, server, "main:refs/heads/third")
    assert run.ok == (after != "block"), run.output
    assert daemon.stop() == 0
