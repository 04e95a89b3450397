"""LFS objects that come too late or stay too long: pending ones, and orphans of refused pushes."""
import hashlib
import json
import os
import time

import pytest

from gate import hubgate
from hub.samples import safetensors
from lfs_server import LfsServer
from servers import BareRepository
from test_hook import CLEAN, POISON, WorkingCopy, assert_refused
from test_hook_lfs import audit, pointer, use_lfs

WEIGHTS = safetensors({"w": 4096})
PENDING = "lfs:\n  absent: pending\n"


def oid_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def work(tmp_path):
    return WorkingCopy(tmp_path)


def stored(server, data: bytes, root=None):
    oid = oid_of(data)
    return (root or server.path / "lfs/objects") / oid[:2] / oid[2:4] / oid


def verb(server, name, *arguments, code=0, config=True):
    flags = ["--config", server.data.parent / "hook.yaml"] if config else []
    run = hubgate("hook", name, "--data", server.data, "--json", *flags, *arguments)
    assert run.returncode == code, run.stdout + run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()], run.stderr


def events(server, name):
    return [line for line in audit(server) if line.get("event") == name]


def test_a_second_push_of_objects_finds_nothing_accepted_without_its_bytes(tmp_path, work):
    """`git push --no-verify` of a pointer, then `git lfs push`: no hook runs at the second, and nothing was let in by the first."""
    server = BareRepository(tmp_path)
    lfs = LfsServer(str(server.path / "lfs/objects"), "full")
    try:
        use_lfs(work, lfs, "*.pkl", "*.safetensors")
        work.commit({"model.pkl": POISON})
        assert_refused(work.push(server, "--no-verify", "main"), "is not on the server")
        assert server.refs() == {}
        work.git("remote", "add", "origin", str(server.path))
        assert work.git("lfs", "push", "origin", "main").ok
        assert stored(server, POISON).exists() and server.refs() == {}
        assert_refused(work.push(server), "model.pkl", "os.system")
    finally:
        lfs.stop()


def test_pending_is_what_the_policy_says(tmp_path, work):
    strict = BareRepository(tmp_path, "--policy", "strict", config=PENDING)
    work.commit({"model.pkl": pointer(POISON)})
    assert_refused(work.push(strict), "lfs-object-pending")
    assert events(strict, "lfs-pending") == []


def test_what_comes_late_is_judged_and_no_new_branch_is_free(tmp_path, work):
    server = BareRepository(tmp_path, config=PENDING)
    head = work.commit({"model.pkl": pointer(POISON), "vocabulary.pkl": pointer(CLEAN), "never.pkl": pointer(WEIGHTS)})
    run = work.push(server)
    assert run.ok and "lfs-object-pending" in run.output, run.output
    owed, _ = verb(server, "pending")
    assert {(one["path"], one["oid"], one["ref"], one["commit"]) for one in owed} == {
        (name, oid_of(data), "refs/heads/main", head)
        for name, data in (("model.pkl", POISON), ("vocabulary.pkl", CLEAN), ("never.pkl", WEIGHTS))}
    owed, _ = verb(server, "pending", "--scan")
    assert {one["outcome"] for one in owed} == {"absent"}
    # `git lfs push`, which runs no hook.
    server.put_lfs(POISON)
    server.put_lfs(CLEAN)
    assert_refused(work.push(server, "main:refs/heads/other"), "model.pkl", "os.system")
    owed, said = verb(server, "pending", "--scan", code=1)
    assert {one["path"]: one["outcome"] for one in owed} == {"model.pkl": "blocked", "vocabulary.pkl": "allowed",
                                                             "never.pkl": "absent"}
    assert "os.system" in said and "model.pkl" in said
    settled = {line["path"]: line for line in events(server, "lfs-settled")}
    assert settled["model.pkl"]["decision"].startswith("HG-") and settled["vocabulary.pkl"]["outcome"] == "allowed"
    owed, _ = verb(server, "pending", "--scan")
    assert [one["path"] for one in owed] == ["never.pkl"]
    # Wrong bytes are the object's fault, whenever they come.
    server.put_lfs(CLEAN, oid_of(WEIGHTS))
    owed, said = verb(server, "pending", "--scan", code=1)
    assert [one["outcome"] for one in owed] == ["blocked"] and "lfs-wrong-bytes" in said
    assert verb(server, "pending")[0] == []


def test_a_source_that_fails_leaves_it_pending(tmp_path, work):
    server = BareRepository(tmp_path, config=PENDING)
    work.commit({"model.pkl": pointer(POISON)})
    assert work.push(server).ok
    (tmp_path / "hook.yaml").write_text(PENDING + "  sources:\n    - batch: http://127.0.0.1:9/x\n")
    _, said = verb(server, "pending", "--scan", code=3)
    assert "LFS API of 127.0.0.1" in said
    assert len(verb(server, "pending")[0]) == 1


@pytest.mark.parametrize("how", ["keep", "remove", "quarantine"])
def test_blocked_objects_of_a_refused_push_go(tmp_path, work, how):
    server = BareRepository(tmp_path, config=f"lfs:\n  orphans: {how}\n")
    for data in (POISON, CLEAN):
        server.put_lfs(data)
    server.put_lfs(CLEAN, oid_of(WEIGHTS))
    work.commit({"model.pkl": pointer(POISON), "vocabulary.pkl": pointer(CLEAN), "wrong.safetensors": pointer(WEIGHTS)})
    assert_refused(work.push(server), "os.system")
    # What is clean stays: the next push wants it.
    assert stored(server, CLEAN).exists()
    aside = server.path / "lfs/objects/hubgate-quarantine"
    for data in (POISON, WEIGHTS):
        assert stored(server, data).exists() == (how == "keep")
        assert (aside / oid_of(data)).exists() == (how == "quarantine")
    outcomes = {line["oid"]: line["outcome"] for line in events(server, "lfs-orphan")}
    done = {"keep": {}, "remove": "removed", "quarantine": "quarantined"}[how]
    assert outcomes == ({oid_of(POISON): done, oid_of(WEIGHTS): done} if how != "keep" else {})


def test_what_something_else_points_at_is_no_orphan(tmp_path, work):
    server = BareRepository(tmp_path, config="lfs:\n  orphans: remove\n")
    hook = server.hook.read_text()
    server.set_hook("exit 0")
    work.commit({"old.pkl": pointer(POISON)})
    assert work.push(server).ok
    server.hook.write_text(hook)
    server.put_lfs(POISON)
    work.commit({"new.pkl": pointer(POISON)})
    assert_refused(work.push(server), "new.pkl")
    assert stored(server, POISON).exists()
    (line,) = events(server, "lfs-orphan")
    assert line["outcome"] == "kept" and "points at it" in line["reason"]


@pytest.mark.parametrize("shared", [True, False])
def test_a_store_that_others_use_is_left_alone(tmp_path, work, shared):
    store = tmp_path / "store"
    more = "" if shared else "      shared: false\n"
    server = BareRepository(tmp_path, config=f"lfs:\n  orphans: remove\n  sources:\n    - folder: {store}\n{more}")
    server.put_lfs(POISON, None, "{a}/{b}/{oid}", store)
    work.commit({"model.pkl": pointer(POISON)})
    assert_refused(work.push(server), "os.system")
    assert stored(server, POISON, store).exists() == shared
    (line,) = events(server, "lfs-orphan")
    assert line["outcome"] == ("kept" if shared else "removed")


def age(path, days=2):
    then = time.time() - days * 86400
    os.utime(path, (then, then))


def test_orphans_are_listed_and_taken_away(tmp_path, work):
    server = BareRepository(tmp_path, config="lfs: {known: read}\n")
    for data in (WEIGHTS, CLEAN, POISON):
        server.put_lfs(data)
    work.commit({"model.safetensors": pointer(WEIGHTS)})
    assert work.push(server).ok
    (server.path / "lfs/objects/tmp").write_bytes(b"unfinished")
    listed, said = verb(server, "orphans", server.path)
    assert {one["oid"] for one in listed} == {oid_of(CLEAN), oid_of(POISON)} and "nothing was changed" in said
    # Young ones may be of a push that is on its way.
    listed, _ = verb(server, "orphans", server.path, "--remove")
    assert {one["outcome"] for one in listed} == {"too young"} and stored(server, POISON).exists()
    age(stored(server, POISON))
    listed, _ = verb(server, "orphans", server.path, "--quarantine")
    assert {one["oid"]: one["outcome"] for one in listed} == {oid_of(POISON): "quarantined", oid_of(CLEAN): "too young"}
    assert (server.path / "lfs/objects/hubgate-quarantine" / oid_of(POISON)).read_bytes() == POISON
    listed, _ = verb(server, "orphans", server.path, "--remove", "--older-than", "0s")
    assert [one["outcome"] for one in listed] == ["removed"] and not stored(server, CLEAN).exists()
    # A branch that is deleted leaves its object behind.
    server.git("update-ref", "-d", "refs/heads/main")
    assert [one["oid"] for one in verb(server, "orphans", server.path)[0]] == [oid_of(WEIGHTS)]
    assert stored(server, WEIGHTS).exists()


def test_a_shared_store_is_seen_from_all_its_repositories(tmp_path):
    root, store = tmp_path / "root", tmp_path / "store"
    config = tmp_path / "lfs.yaml"
    config.write_text(f"lfs:\n  roots: [{store}]\n  paths: [\"{{root}}/{{0:2}}/{{2:4}}/{{4:}}\"]\n")
    servers = []
    for name, data in (("a", WEIGHTS), ("team/b", CLEAN)):
        (root / name).mkdir(parents=True)
        server = BareRepository(root / name)
        server.set_hook("exit 0")
        folder = tmp_path / name.replace("/", "-")
        folder.mkdir()
        person = WorkingCopy(folder)
        person.commit({"m.pkl": pointer(data)})
        assert person.push(server).ok
        servers.append(server)
    for data in (WEIGHTS, CLEAN, POISON):
        servers[0].put_lfs(data, None, "{a}/{b}/{rest}", store)
    run = hubgate("hook", "orphans", servers[0].path, "--config", config)
    assert run.returncode == 3 and "shared" in run.stderr
    run = hubgate("hook", "orphans", root, "--config", config, "--json")
    assert run.returncode == 0, run.stderr
    assert [json.loads(line)["oid"] for line in run.stdout.splitlines()] == [oid_of(POISON)]


def test_orphans_of_what_is_no_repository(tmp_path):
    for path in ("/nonexistent", tmp_path):
        run = hubgate("hook", "orphans", path)
        assert run.returncode == 3 and run.stderr.count("\n") == 1, run.stderr
