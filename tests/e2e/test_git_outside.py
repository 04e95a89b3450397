"""Law 5 for pushes over HTTP: what a pack names and does not bring is judged wherever it lies."""
import hashlib
import subprocess

import pytest

from git_web import BASE, CLEAN, POISON, Work, clone, fill, pack_of, raw_push, url
from git_web import gate, server, start, web, work  # noqa: F401 (fixtures)
from servers import ENVIRONMENT


def make(work: Work, kind: str, data: bytes) -> str:
    return subprocess.run(["git", "-C", str(work.folder), "hash-object", "-w", "--literally", "-t", kind, "--stdin"], env=ENVIRONMENT,
                          input=data, capture_output=True, check=True).stdout.decode().strip()


def tree_of(work: Work, *lines: str) -> str:
    return subprocess.run(["git", "-C", str(work.folder), "mktree", "--missing"], env=ENVIRONMENT, text=True,
                          input="".join(f"{line}\n" for line in lines), capture_output=True, check=True).stdout.strip()


def hidden(work: Work, server, files: dict[str, bytes]) -> str:
    """Files that lie on the upstream, on a branch that nobody has pulled through the gate."""
    work.git("checkout", "-q", "--orphan", "hidden")
    commit = work.commit(files)
    work.git("push", "-q", str(server.path), "hidden")
    work.git("checkout", "-q", "-f", "main")
    return commit


@pytest.fixture
def pushed(gate, web, server, work) -> str:
    """A main branch that went through the gate."""
    head = work.commit(BASE)
    work.git("push", "-q", url(gate, web, server), "main")
    return head


def on_top(work: Work, tree: str, *parents: str) -> str:
    return work.git("commit-tree", tree, "-m", "x", *[word for parent in parents for word in ("-p", parent)])


@pytest.mark.parametrize("bad", [True, False])
def test_an_old_file_of_the_hub_under_a_new_name_is_judged(bad, gate, web, server, work, pushed):
    """`git commit-tree` with the id of a blob that the pack does not bring."""
    data = POISON if bad else b"harmless notes\n"
    commit = hidden(work, server, {"notes.txt": data})
    blob = work.git("rev-parse", f"{commit}:notes.txt")
    tree = tree_of(work, *work.git("ls-tree", "main").splitlines(), f"100644 blob {blob}\tmodel.pkl" if bad else f"100644 blob {blob}\tnotes.txt")
    tip = on_top(work, tree, pushed)
    answer = raw_push(gate, web, server, tip, pack_of(work, tip, tree), before=pushed)
    if bad:
        assert b"ng refs/heads/main hubgate: " in answer.body and b"os.system" in answer.body and b"model.pkl" in answer.body, answer.body
        assert server.refs()["refs/heads/main"] == pushed
    else:
        assert b"ok refs/heads/main" in answer.body, answer.body
        assert server.refs()["refs/heads/main"] == tip
        push = [line for line in gate.audit_lines() if line["event"] == "git-push"][-1]
        assert push["fetched"] == 1, push


def test_an_old_tree_of_the_hub_is_judged(gate, web, server, work, pushed):
    commit = hidden(work, server, {"deep/er/model.pkl": POISON})
    for tree in (work.git("rev-parse", f"{commit}^{{tree}}"), tree_of(work, f"040000 tree {work.git('rev-parse', f'{commit}:deep')}\tnew")):
        tip = on_top(work, tree, pushed)
        own = [tip] if tree == work.git("rev-parse", f"{commit}^{{tree}}") else [tip, tree]
        answer = raw_push(gate, web, server, tip, pack_of(work, *own), before=pushed)
        assert b"ng refs/heads/main hubgate: " in answer.body and b"os.system" in answer.body and b"er/model.pkl" in answer.body, answer.body
    assert server.refs()["refs/heads/main"] == pushed


def test_an_old_pointer_of_the_hub_needs_its_object(gate, web, server, work, pushed):
    oid = hashlib.sha256(b"nobody has it").hexdigest()
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize 13\n".encode()
    commit = hidden(work, server, {"weights.bin": pointer})
    tree = tree_of(work, f"100644 blob {work.git('rev-parse', f'{commit}:weights.bin')}\tweights.bin")
    tip = on_top(work, tree, pushed)
    answer = raw_push(gate, web, server, tip, pack_of(work, tip, tree), before=pushed)
    assert b"ng refs/heads/main hubgate: " in answer.body and b"weights.bin" in answer.body and b"not on the server" in answer.body, answer.body


def test_an_object_that_nobody_has_is_refused_with_its_path(gate, web, server, work, pushed):
    tree = tree_of(work, f"100644 blob {'ab' * 20}\tnowhere.bin")
    tip = on_top(work, tree, pushed)
    answer = raw_push(gate, web, server, tip, pack_of(work, tip, tree), before=pushed)
    assert b"ng refs/heads/main hubgate: " in answer.body and b"nowhere.bin" in answer.body and b"does not give" in answer.body, answer.body


def test_tags_of_old_objects_are_judged(gate, web, server, work, pushed):
    commit = hidden(work, server, {"model.pkl": POISON})
    for number, kind in enumerate(("commit", "tree", "blob")):
        named = {"commit": commit, "tree": f"{commit}^{{tree}}", "blob": f"{commit}:model.pkl"}[kind]
        text = f"object {work.git('rev-parse', named)}\ntype {kind}\ntag v{number}\ntagger A <a@a.invalid> 1 +0000\n\nx\n"
        work.git("update-ref", f"refs/tags/v{number}", make(work, "tag", text.encode()))
        done = work.run("push", url(gate, web, server), f"v{number}")
        assert done.returncode != 0 and "os.system" in done.stderr, done.stderr
    assert not any(name.startswith("refs/tags/") for name in server.refs())


def test_a_ref_to_what_nobody_has_seen_is_judged(gate, web, server, work):
    fill(work, server, BASE)
    done = work.run("push", url(gate, web, server), "main:refs/heads/other")
    assert done.returncode == 0, done.stderr
    fill(work, server, {"model.pkl": POISON}, {"model.pkl": CLEAN})
    done = work.run("push", url(gate, web, server), "main:refs/heads/third")
    assert done.returncode != 0 and "model.pkl" in done.stderr and "os.system" in done.stderr, done.stderr
    assert set(server.refs()) == {"refs/heads/main", "refs/heads/other"}


def test_what_a_ref_named_before_is_what_the_hub_says(gate, web, server, work, pushed):
    """A push says what its refs named before: a lie about one of them must not carry another."""
    commit = hidden(work, server, {"model.pkl": POISON})
    lines = [f"{commit} {pushed} refs/heads/main".encode() + b"\0 report-status", f"{'0' * 40} {commit} refs/heads/new".encode()]
    empty = subprocess.run(["git", "pack-objects", "-q", "--stdout"], cwd=work.folder, env=ENVIRONMENT, input=b"", capture_output=True, check=True).stdout
    body = b"".join(b"%04x" % (len(line) + 4) + line for line in lines) + b"0000" + empty
    answer = gate.request("POST", f"/{server.path.relative_to(web.root)}/git-receive-pack", body=body,
                          headers={"Content-Type": "application/x-git-receive-pack-request"})
    assert b"ng refs/heads/new hubgate: " in answer.body, answer.body
    # The same about a single ref.
    tip = on_top(work, f"{commit}^{{tree}}", commit)
    answer = raw_push(gate, web, server, tip, pack_of(work, tip), before=commit)
    assert b"ng refs/heads/main hubgate: " in answer.body and b"os.system" in answer.body, answer.body
    assert set(server.refs()) == {"refs/heads/main", "refs/heads/hidden"}


def test_ordinary_pushes_fetch_no_file(start, web, server, work):
    """On top of more than a thousand files that nobody has pulled through the gate: their ids are compared, and that is all."""
    gate = start()
    fill(work, server, {f"data/part{number % 7}/{number}.txt": f"{number}\n".encode() for number in range(1200)} | BASE)
    target = url(gate, web, server)
    work.commit({"data/part3/new.txt": b"new\n", "README.md": b"# changed\n"})
    before = gate.admin("/metrics").text
    done = work.run("push", target, "main")
    assert done.returncode == 0, done.stderr
    push = [line for line in gate.audit_lines() if line["event"] == "git-push"][-1]
    assert "fetched" not in push and push["files"] == 2, push

    def received(text: str) -> int:
        return int(next(line.split()[-1] for line in text.splitlines() if line.startswith("hubgate_received_bytes_total")))
    assert received(gate.admin("/metrics").text) - received(before) < 150_000  # their trees have some 50 kB
    # A file that moves is fetched, for it has a new name; a folder that moves too.
    work.git("mv", "vocabulary.pkl", "renamed.pkl")
    work.git("mv", "sub", "other")
    work.git("commit", "-qm", "moved")
    done = work.run("push", target, "main")
    assert done.returncode == 0, done.stderr
    push = [line for line in gate.audit_lines() if line["event"] == "git-push"][-1]
    assert push["fetched"] == 3, push


def test_pushed_commits_are_known_afterwards(start, web, server, work):
    """Branches and tags of them need nothing from the hub."""
    gate = start()
    work.commit(BASE)
    target = url(gate, web, server)
    work.git("push", "-q", target, "main")
    work.commit({"more.json": b"{}\n"})
    work.git("push", "-q", target, "main")
    work.git("tag", "-a", "-m", "t", "v1")
    work.commit({"more.json": b"[]\n"})
    done = work.run("push", target, "main:refs/heads/feature", "main~1:refs/heads/old", "v1")
    assert done.returncode == 0, done.stderr
    push = [line for line in gate.audit_lines() if line["event"] == "git-push"][-1]
    assert "fetched" not in push, push


RULES = """version: 1
rules:
  - id: not-on-releases
    match: {verdict: inconclusive, revision: "refs/heads/release*"}
    action: block
  - id: everything
    match: {}
    action: allow
"""


@pytest.mark.parametrize("names", [("one", "release-1"), ("release-1", "one")])
def test_records_hold_for_the_rules_of_every_ref(names, start, web, server, work):
    """What passed on main has not passed on a release branch, wherever that stands in the push."""
    gate = start(policy=RULES)
    work.commit({**BASE, "blob.xyz": bytes(range(256)) * 20})
    target = url(gate, web, server)
    done = work.run("push", target, "main")
    assert done.returncode == 0, done.stderr
    assert work.run("push", target, "main:refs/heads/zero").returncode == 0
    done = work.run("push", target, *[f"main:refs/heads/{name}" for name in names])
    assert done.returncode != 0 and "blob.xyz" in done.stderr and "not-on-releases" in done.stderr, done.stderr
    assert set(server.refs()) == {"refs/heads/main", "refs/heads/zero"}


def test_a_link_to_a_file_that_was_there_is_another_use(gate, web, server, work, pushed):
    """The same blob, the same path, another mode: a checkout makes something else of it."""
    first = work.commit({"place": b"/etc/passwd"})
    done = work.run("push", url(gate, web, server), "main")
    assert done.returncode == 0, done.stderr
    tree = tree_of(work, *[line.replace("100644", "120000") if line.endswith("\tplace") else line for line in work.git("ls-tree", "main").splitlines()])
    tip = on_top(work, tree, first)
    answer = raw_push(gate, web, server, tip, pack_of(work, tip, tree), before=first)
    assert b"ng refs/heads/main hubgate: " in answer.body and b"-link-outside" in answer.body, answer.body
    # And in one pack.
    both = on_top(work, tree_of(work, f"100644 blob {work.git('rev-parse', 'main:place')}\tplace"), first)
    tip = on_top(work, tree_of(work, f"120000 blob {work.git('rev-parse', 'main:place')}\tplace"), both)
    names = work.git("rev-list", "--objects", "--no-object-names", tip, f"^{first}").split() + [work.git("rev-parse", "main:place")]
    answer = raw_push(gate, web, server, tip, pack_of(work, *sorted(set(names))), before=first)
    assert b"ng refs/heads/main hubgate: " in answer.body and b"git-link-outside" in answer.body, answer.body
