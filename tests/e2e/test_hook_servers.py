"""The hook inside of servers: their ways to call it, their variables, their LFS folders, by what was recorded from running
Forgejo 7, soft-serve 0.12.2 and GitLab's documentation; and a real gitolite over SSH."""
import hashlib
import json
import subprocess

import pytest

from forges import Forge, Gitolite
from gate import HUBGATE
from lfs_server import LfsServer
from servers import BareRepository
from test_hook import CLEAN, POISON, WorkingCopy, assert_refused
from test_hook_lfs import pointer, use_lfs


@pytest.fixture
def work(tmp_path):
    return WorkingCopy(tmp_path)


def pushes(data) -> list[dict]:
    lines = [json.loads(line) for file in sorted((data / "audit").glob("*.jsonl")) for line in file.read_text().splitlines()]
    return [line for line in lines if line.get("event") == "push"]


@pytest.mark.parametrize("scope", ["--global", "--repo"])
@pytest.mark.parametrize("kind", ["gitea", "forgejo", "gitlab", "soft-serve"])
def test_a_forge(tmp_path, work, kind, scope):
    forge = Forge(kind, tmp_path / "server")
    if kind == "soft-serve":
        forge.soft_serve_database()
    if scope == "--repo":
        forge.install("--repo", str(forge.path))
    else:
        forge.install("--global", *(["--hooks", str(forge.custom)] if kind == "gitlab" else []))
    lfs = LfsServer(str(forge.lfs_root), forge.lfs_layout, checks=kind != "soft-serve")
    push = lambda ref="main": work.git("push", "--receive-pack", forge.receive_pack(), str(forge.path), ref, check=False)
    try:
        use_lfs(work, lfs, "*.pkl")
        head = work.commit({"vocabulary.pkl": CLEAN, "README.md": b"# hi\n"})
        run = push()
        assert run.ok, run.output
        work.commit({"model.pkl": POISON})
        assert_refused(push(), "model.pkl", "os.system")
        assert forge.refs() == {"refs/heads/main": head}
    finally:
        lfs.stop()
    passed, refused = pushes(forge.data)
    assert (passed["outcome"], refused["outcome"]) == ("passed", "refused")
    for line in (passed, refused):
        assert (line["repo"], line["who"]) == ("team/model", "alice"), line
    if kind != "gitlab":
        assert (forge.path / "own-hook-ran").exists()
    log = "".join(file.read_text() for file in (forge.data / "audit").glob("*.jsonl"))
    assert "hunter2" not in log and "hunter2" not in run.output


def test_soft_serve_reads_no_other_repositorys_object(tmp_path, work):
    """The same id in another repository's folder is not this repository's object: it may still come, with other bytes."""
    forge = Forge("soft-serve", tmp_path / "server")
    forge.soft_serve_database()
    forge.install("--repo", str(forge.path))
    oid = hashlib.sha256(CLEAN).hexdigest()
    push = lambda: work.git("push", "--receive-pack", forge.receive_pack(), str(forge.path), "main", check=False)
    work.commit({"vocabulary.pkl": pointer(CLEAN)})
    other = LfsServer(str(forge.folder / f"data/lfs/{forge.number - 1}/objects"), "full")
    own = LfsServer(str(forge.lfs_root), "full", checks=False)
    try:
        other.put("x", CLEAN)
        assert_refused(push(), "is not on the server")
        own.put("x", POISON, oid)
        assert_refused(push(), "lfs-wrong-bytes")
        own.put("x", CLEAN)
        run = push()
        assert run.ok, run.output
    finally:
        other.stop()
        own.stop()


GROUPS = """version: 1
rules:
  - {id: lab, match: {group: lab, severity: malicious}, action: annotate, override: malicious}
  - {id: dangerous, match: {severity: malicious}, action: block}
  - {id: rest, action: allow}
"""


def test_groups_of_gitolite(tmp_path, work):
    server = Gitolite(tmp_path)
    try:
        (tmp_path / "policy.yaml").write_text(GROUPS)
        config = tmp_path / "hook.yaml"
        config.write_text(f"data: {tmp_path}/hookdata\npolicy: {tmp_path}/policy.yaml\nhook: {{groups_from: gitolite}}\n")
        run = subprocess.run([HUBGATE, "hook", "install", "--server", "gitolite", "--global", "--home", str(server.home),
                              "--config", str(config)], capture_output=True, text=True, check=False, timeout=60)
        assert run.returncode == 0, run.stdout + run.stderr
        server.run("setup", "--hooks-only")
        push = lambda person, *refs: work.git("push", server.url, *(refs or ("main",)), check=False, GIT_SSH_COMMAND=server.command(person))
        work.commit({"model.pkl": POISON})
        assert_refused(push("bob"), "model.pkl", "os.system")
        run = push("alice", "main:lab")
        assert run.ok and "os.system" in run.output, run.output
        # What the lab may have is judged again when somebody else names it.
        assert_refused(push("bob"), "model.pkl")
        log = "".join(file.read_text() for file in sorted((tmp_path / "hookdata/audit").glob("*.jsonl")))
        assert '"groups":["lab","staff"]' in log, log
        # gitolite that does not answer lets nobody through, whatever group he is in.
        hook = server.home / "local/hooks/common/pre-receive"
        hook.write_text(hook.read_text().replace("exec ", "HOME=/nonexistent exec ", 1))
        assert_refused(push("alice", "main:again"), "could not do its work", "gitolite")
    finally:
        server.stop()


def test_groups_of_gitolite_elsewhere(tmp_path, work):
    server = BareRepository(tmp_path, config="hook: {groups_from: gitolite}\n")
    work.commit({"README.md": b"# hi\n"})
    assert_refused(work.push(server), "gitolite did not run this hook")


def test_gitolite_over_ssh(tmp_path, work):
    server = Gitolite(tmp_path)
    try:
        data = tmp_path / "hookdata"
        run = subprocess.run([HUBGATE, "hook", "install", "--server", "gitolite", "--global", "--home", str(server.home),
                              "--data", str(data)], capture_output=True, text=True, check=False, timeout=60)
        assert run.returncode == 0, run.stdout + run.stderr
        server.run("setup", "--hooks-only")
        push = lambda person: work.git("push", server.url, "main", check=False, GIT_SSH_COMMAND=server.command(person))
        head = work.commit({"vocabulary.pkl": CLEAN})
        run = push("alice")
        assert run.ok, run.output
        work.commit({"model.pkl": POISON})
        assert_refused(push("bob"), "model.pkl", "os.system")
        refs = subprocess.run(["git", "-C", str(server.path), "for-each-ref", "--format=%(refname) %(objectname)"],
                              capture_output=True, text=True, check=True, env=server.environment).stdout.split()
        assert refs == ["refs/heads/main", head]
        assert [(line["repo"], line["who"], line["from"], line["outcome"]) for line in pushes(data)] == [
            ("team/model", "alice", "127.0.0.1", "passed"), ("team/model", "bob", "127.0.0.1", "refused")]
        # gitolite's own rules still hold: who may not push does not come so far.
        run = work.git("push", server.url.replace("team/model", "gitolite-admin"), "main", check=False,
                       GIT_SSH_COMMAND=server.command("alice"))
        assert not run.ok and "DENIED" in run.output, run.output
    finally:
        server.stop()
