"""Git over HTTP through the gate, against git http-backend: clone, fetch, push; packs judged object by object."""
import subprocess

import pytest

from git_web import BASE, CLEAN, POISON, Work, clone, fill, raw_push, same, url
from git_web import gate, server, start, web, work  # noqa: F401 (fixtures)
from servers import ENVIRONMENT


@pytest.mark.parametrize("version", ["0", "1", "2"])
def test_clone_and_fetch_are_byte_identical(version, gate, web, server, work, tmp_path):
    fill(work, server, BASE, {"more.json": b'{"a": 1}\n'})
    work.git("tag", "-a", "-m", "first", "v1")
    work.git("push", "-q", str(server.path), "v1")
    out = tmp_path / "out"
    done = clone(gate, web, server, out, "-c", f"protocol.version={version}")
    assert done.returncode == 0, done.stderr
    same(server, out)
    assert (out / "model.safetensors").read_bytes() == BASE["model.safetensors"]
    fill(work, server, {"more.json": b'{"a": 2}\n', "sub/deep/new.txt": b"new\n"})
    Work(out).git("pull", "-q")
    same(server, out)
    assert Work(out).git("tag") == "v1"


def test_a_poisoned_clone_is_refused_with_its_path(gate, web, server, work, tmp_path):
    fill(work, server, BASE, {"models/deep/model.pkl": POISON})
    done = clone(gate, web, server, tmp_path / "out")
    assert done.returncode != 0
    for word in ("models/deep/model.pkl", "os.system", "hubgate", "refused"):
        assert word in done.stderr, done.stderr
    assert not (tmp_path / "out" / ".git/objects/pack").exists() or not list((tmp_path / "out/.git/objects/pack").glob("*.pack"))


def test_a_clean_push_arrives(gate, web, server, work):
    head = work.commit(BASE)
    work.git("tag", "-a", "-m", "first", "v1")
    done = work.run("push", url(gate, web, server), "main", "v1")
    assert done.returncode == 0, done.stderr
    assert server.refs()["refs/heads/main"] == head and "refs/tags/v1" in server.refs()
    server.git("fsck", "--full", "--strict")


def test_a_poisoned_push_is_refused_with_its_path(gate, web, server, work):
    work.commit(BASE)
    work.git("branch", "other")
    commit = work.commit({"models/deep/model.pkl": POISON})
    done = work.run("push", url(gate, web, server), "main", "other")
    assert done.returncode != 0
    for word in ("remote: ", "models/deep/model.pkl", "os.system", commit[:8], "! [remote rejected] main -> main (hubgate:",
                 "! [remote rejected] other -> other (hubgate:"):
        assert word in done.stderr, done.stderr
    assert server.refs() == {} and server.objects() == set()


def test_shallow_and_partial_clones(gate, web, server, work, tmp_path):
    fill(work, server, BASE, {"more.json": b'{"a": 1}\n'}, {"more.json": b'{"a": 2}\n'})
    assert (done := clone(gate, web, server, tmp_path / "shallow", "--depth", "1")).returncode == 0, done.stderr
    assert Work(tmp_path / "shallow").git("rev-list", "--count", "HEAD") == "1"
    Work(tmp_path / "shallow").git("fetch", "-q", "--unshallow")
    same(server, tmp_path / "shallow")
    assert (done := clone(gate, web, server, tmp_path / "partial", "--filter=blob:none")).returncode == 0, done.stderr
    assert (tmp_path / "partial/vocabulary.pkl").read_bytes() == CLEAN
    Work(tmp_path / "partial").git("checkout", "-q", "HEAD~1")


def test_a_poisoned_blob_of_a_partial_clone_is_refused_when_it_is_fetched(gate, web, server, work, tmp_path):
    fill(work, server, BASE, {"deep/model.pkl": POISON})
    done = clone(gate, web, server, tmp_path / "out", "--filter=blob:none", "--no-checkout")
    assert done.returncode == 0, done.stderr
    done = Work(tmp_path / "out").run("checkout", "main")
    assert done.returncode != 0 and "deep/model.pkl" in done.stderr and "os.system" in done.stderr, done.stderr


def test_an_object_that_nothing_names_is_judged(gate, web, server, work, tmp_path):
    """A pack may bring more than its refs name: the server would keep it."""
    work.commit(BASE)
    (tmp_path / "evil").write_bytes(POISON)
    evil = work.git("hash-object", "-w", str(tmp_path / "evil"))
    names = work.git("rev-list", "--objects", "--no-object-names", "--all").split() + [evil]
    pack = subprocess.run(["git", "-C", str(work.folder), "pack-objects", "-q", "--stdout"], env=ENVIRONMENT,
                          input="".join(f"{name}\n" for name in names).encode(), capture_output=True, check=True).stdout
    answer = raw_push(gate, web, server, work.git("rev-parse", "HEAD"), pack)
    assert b"ng refs/heads/main hubgate: " in answer.body and b"os.system" in answer.body, answer.body
    assert server.objects() == set()


@pytest.mark.parametrize("harm", ["cut", "flipped", "thin", "longer", "no pack"])
def test_a_pack_that_is_none_is_refused(harm, gate, web, server, work):
    work.commit(BASE)
    tip = work.commit({"README.md": b"# hi\n" * 200})
    pack = subprocess.run(["git", "-C", str(work.folder), "pack-objects", "-q", "--revs", "--thin", "--stdout"], env=ENVIRONMENT,
                          input=b"HEAD\n" if harm != "thin" else b"HEAD\n^HEAD~1\n", capture_output=True, check=True).stdout
    harmed = {"cut": pack[:-30], "flipped": pack[:60] + bytes([pack[60] ^ 1]) + pack[61:], "longer": pack[:-20] + b"x" + pack[-20:],
              "thin": pack, "no pack": b"What is this?"}[harm]
    answer = raw_push(gate, web, server, tip, harmed)
    if harm == "thin" and b"unpack ok" in answer.body and b"ng " not in answer.body:
        pytest.fail("a thin pack went on")
    assert b"ng refs/heads/main hubgate: " in answer.body, answer.body
    assert server.objects() == set() and server.refs() == {}


def test_several_refs_and_deletions(gate, web, server, work):
    work.commit(BASE)
    work.git("branch", "one")
    work.git("tag", "-a", "-m", "t", "v1")
    work.git("tag", "light")
    target = url(gate, web, server)
    done = work.run("push", "--atomic", "-o", "an option", target, "main", "one", "v1", "light")
    assert done.returncode == 0, done.stderr
    assert set(server.refs()) == {"refs/heads/main", "refs/heads/one", "refs/tags/v1", "refs/tags/light"}
    done = work.run("push", target, ":one", ":v1")
    assert done.returncode == 0, done.stderr
    assert set(server.refs()) == {"refs/heads/main", "refs/tags/light"}
    # A new branch at what was pushed before brings no object, and is known.
    done = work.run("push", target, "main:refs/heads/two")
    assert done.returncode == 0, done.stderr


def test_the_audit_log_has_both_directions(start, web, server, work, tmp_path):
    gate = start()
    work.commit(BASE)
    work.git("push", "-q", url(gate, web, server), "main")
    assert clone(gate, web, server, tmp_path / "out").returncode == 0
    lines = gate.audit_lines()
    push = next(line for line in lines if line["event"] == "git-push")
    pull = next(line for line in lines if line["event"] == "git-pull")
    assert push["outcome"] == "passed on" and push["files"] == 4 and pull["outcome"] == "passed" and pull["files"] == 4


def test_a_client_that_goes_leaves_nothing_behind(start, web, server, work, tmp_path):
    import http.client
    import time
    gate = start()
    tip = work.commit(BASE)
    connection = http.client.HTTPConnection("127.0.0.1", gate.port, timeout=30)
    line = f"{'0' * 40} {tip} refs/heads/main".encode() + b"\0 report-status side-band-64k"
    connection.putrequest("POST", f"/{server.path.relative_to(web.root)}/git-receive-pack")
    connection.putheader("Content-Length", "100000")
    connection.endheaders(b"%04x" % (len(line) + 4) + line + b"0000" + b"PACK" + b"x" * 5000)
    deadline = time.monotonic() + 30
    while not list((gate.data / "spool").glob("git-*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert list((gate.data / "spool").glob("git-*"))
    connection.close()
    while list((gate.data / "spool").glob("git-*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not list((gate.data / "spool").glob("git-*"))
    assert server.refs() == {} and work.run("push", url(gate, web, server), "main").returncode == 0


def test_a_killed_gate_leaves_no_pack_behind(start, web, server):
    gate = start()
    gate.stop(9)
    (gate.data / "spool/git-abcdef/pack").mkdir(parents=True)
    (gate.data / "spool/git-abcdef/pack/p.pack").write_bytes(b"PACK")
    gate.start()
    assert not list((gate.data / "spool").glob("git-*"))
