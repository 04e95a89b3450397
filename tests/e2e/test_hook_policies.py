"""Policies by branch, pusher and repository at the hook, and attempts to launder through them: what
one ref may bring is judged again when another one names it."""
import hashlib
import json

import pytest

from gate import HUBGATE, hubgate
from hub.store import make_pointer
from servers import BareRepository
from test_hook import CLEAN, POISON, WorkingCopy, assert_refused, pkt, work  # noqa: F401
from test_hook_objects import commit_of, push_objects, tree_entry, write_object

POLICY = """\
version: 1
name: branches
groups:
  security: [eve, "sec-*"]
rules:
  - {id: guarded-branch, match: {branch: [main, "release/**"], verdict: [malicious, suspicious, inconclusive]}, action: block}
  - {id: lab, match: {repo: "lab/*", verdict: malicious}, action: annotate, override: malicious}
  - {id: may-look, match: {group: security, verdict: malicious}, action: annotate, override: malicious}
  - {id: elsewhere, match: {ref: "refs/heads/**", verdict: [malicious, suspicious, inconclusive]}, action: annotate, override: malicious}
  - {id: clean, match: {verdict: clean}, action: allow}
"""
# Pushers instead of branches.
BY_PUSHER = """\
version: 1
name: pushers
rules:
  - {id: alice, match: {user: alice, severity: malicious}, action: annotate, override: malicious}
  - {id: malicious, match: {severity: malicious}, action: block}
  - {id: rest, action: allow}
"""


class Server(BareRepository):
    """The hook under a policy; `as_user` says who pushes from now on, as gitolite would."""

    def __init__(self, folder, policy=POLICY, config=""):
        (folder / "policy.yaml").write_text(policy)
        super().__init__(folder, "--policy", str(folder / "policy.yaml"), config=config)
        self.line = self.hook.read_text().splitlines()[1]

    def as_user(self, user, repo="org/model"):
        self.set_hook(f"GL_USER={user} GL_REPO={repo} {self.line}".replace(" exec ", " "))

    def pushes(self):
        lines = [json.loads(line) for file in sorted((self.data / "audit").glob("*.jsonl"))
                 for line in file.read_text().splitlines()]
        return [line for line in lines if line["event"] == "push"]


@pytest.fixture
def server(tmp_path):
    return Server(tmp_path)


@pytest.fixture
def poisoned(server, work):  # noqa: F811
    """A clean main on the server; `feature`, one poisoned commit ahead, only here."""
    work.commit({"README.md": b"one\n"})
    assert work.push(server).ok
    work.git("checkout", "-q", "-b", "feature")
    return work.commit({"model.pkl": POISON})


def assert_annotated(run):
    assert run.ok, run.output
    assert "remote: hubgate: warning: " in run.output and "os.system" in run.output, run.output


def test_a_feature_branch_is_annotated_and_main_refused(server, work, poisoned):  # noqa: F811
    assert_annotated(work.push(server, "feature"))
    before = server.refs()
    assert_refused(work.push(server, "feature:main"), "refs/heads/main", "model.pkl", "guarded-branch")
    assert server.refs() == before


@pytest.mark.parametrize("refs", [("feature", "feature:main"), ("feature:main", "feature"),
                                  ("feature", "feature:zz", "feature:release/1/2"), ("feature:a-first", "feature:main")])
def test_one_push_to_both_is_judged_as_the_stricter_demands(server, work, poisoned, refs):  # noqa: F811
    before = server.refs()
    run = work.push(server, *refs)
    assert_refused(run, "guarded-branch", "model.pkl")
    assert server.refs() == before


LAUNDERING = {
    "main moved to it": lambda work: ("feature:main",),
    "a guarded branch made there": lambda work: ("feature:release/2.0",),
    "a tag": lambda work: ("feature:refs/tags/v1",),
    "a ref outside of heads and tags": lambda work: ("feature:refs/for/main",),
    "merged": lambda work: (work.git("checkout", "-q", "main"), work.git("merge", "-q", "--no-ff", "-m", "m", "feature"), "main")[2:],
    "one commit on top of it": lambda work: (work.commit({"README.md": b"two\n"}), "feature:main")[1:],
    "taken away on top of it": lambda work: (work.commit({"model.pkl": None}), "feature:main")[1:],
    "picked": lambda work: (work.git("checkout", "-q", "main"), work.git("cherry-pick", "feature"), "main")[2:],
    "its tree in a new commit": lambda work: (
        work.git("update-ref", "refs/heads/copy",
                 work.git("commit-tree", "-p", "main", "-m", "copy", "feature^{tree}").output.strip()), "copy:main")[1:],
    "a copy elsewhere": lambda work: (
        work.git("checkout", "-q", "main"), work.commit({"deep/copy.pkl": POISON}), "main")[2:],
    "main deleted and made again": lambda work: ("feature:release/3",),
    "a tag of a tag": lambda work: (work.git("tag", "-a", "-m", "1", "one", "feature"), work.git("tag", "-a", "-m", "2", "two", "one"), "two")[2:],
}


@pytest.mark.parametrize("way", LAUNDERING)
@pytest.mark.parametrize("history", ["judge", "accept"])
def test_what_a_feature_branch_may_have_is_judged_again(tmp_path, way, history):
    server = Server(tmp_path, config=f"hook:\n  history: {history}\n")
    work = WorkingCopy(tmp_path)  # noqa: F811
    work.commit({"README.md": b"one\n"})
    assert work.push(server).ok
    work.git("checkout", "-q", "-b", "feature")
    work.commit({"model.pkl": POISON})
    assert_annotated(work.push(server, "feature"))
    assert work.push(server, "feature:feature2").ok  # and there is a record of it
    if way == "main deleted and made again":
        server.git("config", "receive.denyDeleteCurrent", "ignore")
        assert work.push(server, ":main").ok
    before = server.refs()
    assert_refused(work.push(server, *LAUNDERING[way](work)), "os.system")
    assert server.refs() == before


def test_records_spare_the_walk_for_refs_that_are_judged_alike(server, work, poisoned):  # noqa: F811
    assert_annotated(work.push(server, "main:feature0", "feature"))
    assert work.push(server, "feature:feature2", "feature:other/3").ok
    assert server.pushes()[-1]["commits"] == 0
    assert work.push(server, "main:release/1").ok, "main's own history is on record for its class"
    assert server.pushes()[-1]["commits"] == 0


def test_lfs_objects_are_judged_again(server, work):  # noqa: F811
    server.put_lfs(POISON)
    work.commit({"README.md": b"one\n"})
    assert work.push(server).ok
    work.git("checkout", "-q", "-b", "feature")
    work.commit({"model.pkl": make_pointer(hashlib.sha256(POISON).hexdigest(), len(POISON))})
    assert_annotated(work.push(server, "feature"))
    assert_refused(work.push(server, "feature:main"), "guarded-branch", "os.system")


def test_what_is_wrong_with_a_tree_is_judged_again(server, work):  # noqa: F811
    blob = write_object(work, "blob", b"x\n")
    tree = write_object(work, "tree", tree_entry("100644", b"git~1", blob))
    head = commit_of(work, tree)
    answer = push_objects(work, server, "refs/heads/feature", head, [blob, tree, head])
    assert b"ok refs/heads/feature" in answer and b"git-tree-name" in answer, answer
    work.git("update-ref", "refs/heads/odd", head)
    assert_refused(work.push(server, "odd:main"), "git-tree-name", "guarded-branch")
    assert_refused(work.push(server, "odd:feature2", "odd:main"), "git-tree-name", "refs/heads/main")


def test_what_nothing_names_is_judged_by_the_refs_that_it_came_with(server, work):  # noqa: F811
    head = work.commit({"README.md": b"one\n"})
    names = [line.split()[0] for line in work.git("rev-list", "--objects", "HEAD").output.splitlines() if line]
    loose = write_object(work, "blob", POISON)
    answer = push_objects(work, server, "refs/heads/main", head, [*names, loose])
    assert b"guarded-branch" in answer and b"ng refs/heads/main" in answer, answer
    answer = push_objects(work, server, "refs/heads/feature", head, [*names, loose])
    assert b"ok refs/heads/feature" in answer, answer
    work.git("update-ref", "refs/heads/loose", commit_of(work, write_object(work, "tree", tree_entry("100644", b"a.pkl", loose))))
    assert_refused(work.push(server, "loose:main"), "a.pkl", "os.system")


REMOTE_CODE = b'{"auto_map": {"AutoModel": "somebody/else--modeling_x.Model"}}\n'


@pytest.mark.parametrize("refs", [("feature:main",), ("feature", "feature:main"), ("feature:main", "feature")])
def test_the_verdict_on_the_whole_tree_is_per_ref_too(server, work, refs):  # noqa: F811
    work.commit({"README.md": b"one\n"})
    assert work.push(server).ok
    work.git("checkout", "-q", "-b", "feature")
    work.commit({"config.json": REMOTE_CODE})
    run = work.push(server, "feature")
    assert run.ok and "tree-remote-code" in run.output, run.output
    assert_refused(work.push(server, *refs), "tree-remote-code", "guarded-branch")


def test_a_tree_that_one_ref_had_before_is_new_for_another(tmp_path):
    """Both refs are judged alike; only one of them stood there already."""
    server, work = BareRepository(tmp_path, "--policy", "strict"), WorkingCopy(tmp_path)  # noqa: F811
    line = server.hook.read_text().splitlines()[1]
    server.hook.unlink()
    work.commit({"config.json": REMOTE_CODE})
    assert work.push(server, "main:a-old").ok
    server.set_hook(line)
    empty = work.git("commit-tree", "-p", "main", "-m", "same tree", "main^{tree}").output.strip()
    work.git("update-ref", "refs/heads/next", empty)
    assert_refused(work.push(server, "next:a-old", "next:b-new"), "tree-remote-code", "refs/heads/b-new")


def test_pushers(tmp_path):
    server, work = Server(tmp_path, BY_PUSHER), WorkingCopy(tmp_path)  # noqa: F811
    server.as_user("bob")
    work.commit({"model.pkl": POISON})
    assert_refused(work.push(server), "model.pkl")
    server.as_user("alice")
    assert_annotated(work.push(server))
    server.as_user("bob")
    assert_refused(work.push(server, "main:mine"), "model.pkl")  # alice's leave is not bob's
    work.commit({"README.md": b"one\n"})
    assert work.push(server).ok, "what main has was let in by who might"
    server.as_user("alice")
    assert work.push(server, "main:hers").ok
    assert [line["who"] for line in server.pushes()] == ["bob", "alice", "bob", "bob", "alice"]


def test_groups_and_repositories(server, work, poisoned):  # noqa: F811
    # Not a branch, so only the group or the repository lets it pass.
    for user, repo, passes in (("mallory", "org/model", False), ("eve", "org/model", True), ("sec-7", "org/model", True),
                               ("mallory", "lab/model", True), ("mallory", "lab/deep/model", False)):
        server.as_user(user, repo)
        run = work.push(server, f"feature:refs/tags/{user}-{repo.replace('/', '-')}")
        assert run.ok == passes, (user, repo, run.output)


def test_a_waiver_that_ended_does_not_live_on_in_a_record(tmp_path):
    server, work = BareRepository(tmp_path), WorkingCopy(tmp_path)  # noqa: F811
    work.commit({"model.pkl": POISON})
    assert_refused(work.push(server))
    added = hubgate("waiver", "add", hashlib.sha256(POISON).hexdigest(), "--data", server.data, "--rules", "*", "--reason",
                    "reviewed, a test", "--approver", "security@example.invalid", "--expires", "30d")
    assert added.returncode == 0, added.stderr
    assert work.push(server).ok
    assert work.push(server, "main:second").ok
    work.commit({"README.md": b"two\n"})
    assert work.push(server).ok
    assert work.push(server, "main:third").ok
    revoked = hubgate("waiver", "revoke", "1", "--data", server.data)
    assert revoked.returncode == 0, revoked.stderr
    assert_refused(work.push(server, "main:fourth"), "model.pkl")
    work.commit({"README.md": b"three\n"})
    assert work.push(server).ok, "main has it already"


def test_many_small_faults_of_a_tree_do_not_hide_a_grave_one(tmp_path):
    server, work = BareRepository(tmp_path), WorkingCopy(tmp_path)  # noqa: F811
    blob = write_object(work, "blob", b"x\n")
    names = sorted([b"a%02d\\b" % n for n in range(30)] + [b"git~1"])
    tree = write_object(work, "tree", b"".join(tree_entry("100644", name, blob) for name in names))
    head = commit_of(work, tree)
    answer = push_objects(work, server, "refs/heads/main", head, [blob, tree, head])
    assert b"git-tree-name" in answer and b"ng refs/heads/main" in answer, answer
