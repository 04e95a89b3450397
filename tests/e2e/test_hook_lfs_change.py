"""Files that leave LFS or come into it: judged as ever, and told."""
import hashlib
import json

import pytest

from servers import BareRepository
from test_hook import CLEAN, WorkingCopy, assert_refused, server, work  # noqa: F401
from test_hook_lfs import pointer
from test_hook_objects import write_object

TRACKED = b"*.pkl filter=lfs diff=lfs merge=lfs -text\n*.md filter=lfs diff=lfs merge=lfs -text\n"
OTHER = CLEAN + b"\n"


def commit_as_git_sees_it(work, files, message="work"):  # noqa: F811
    """Without git-lfs: what is given is what lies in the commit."""
    for name, data in files.items():
        if data is None:
            work.git("rm", "-q", "--cached", name)
        else:
            work.git("update-index", "--add", "--cacheinfo", f"100644,{write_object(work, 'blob', data)},{name}")
    run = work.git("commit", "-q", "-m", message)
    assert run.ok, run.output
    return work.git("rev-parse", "HEAD").output.strip()


def told(server):  # noqa: F811
    """Rule -> paths, of all decisions in the log."""
    out = {}
    for file in sorted((server.data / "audit").glob("*.jsonl")):
        for line in map(json.loads, file.read_text().splitlines()):
            for rule in line.get("findings", []):
                if rule.startswith("lfs-"):
                    out.setdefault(rule, []).append(line.get("path"))
    return out


@pytest.fixture
def in_lfs(server, work):  # noqa: F811
    """main has a model and a note in LFS, and a model that is not."""
    server.put_lfs(CLEAN)
    server.put_lfs(OTHER)
    commit_as_git_sees_it(work, {".gitattributes": TRACKED, "models/model.pkl": pointer(CLEAN), "NOTES.md": pointer(OTHER),
                                 "plain.pkl": OTHER})
    run = work.push(server)
    assert run.ok and "lfs-" not in run.output, run.output


def test_a_model_that_leaves_lfs_is_told(server, work, in_lfs):  # noqa: F811
    commit_as_git_sees_it(work, {"models/model.pkl": CLEAN, "NOTES.md": b"# notes\n", "plain.pkl": CLEAN + b"\n\n"})
    run = work.push(server)
    assert run.ok, run.output
    assert "warning" in run.output and "lfs-to-file" in run.output and "models/model.pkl" in run.output, run.output
    assert hashlib.sha256(CLEAN).hexdigest()[:12] in run.output
    # A note is no alarm, and still on record.
    assert "NOTES.md" not in run.output
    assert sorted(told(server)["lfs-to-file"]) == ["NOTES.md", "models/model.pkl"]


def test_strict_refuses_it_and_a_waiver_lets_it_pass(tmp_path, work):  # noqa: F811
    server = BareRepository(tmp_path, "--policy", "strict")  # noqa: F811
    server.put_lfs(CLEAN)
    commit_as_git_sees_it(work, {"model.pkl": pointer(CLEAN)})
    hook = server.hook.read_text()
    server.set_hook("exit 0")
    assert work.push(server).ok
    server.hook.write_text(hook)
    commit_as_git_sees_it(work, {"model.pkl": CLEAN})
    assert_refused(work.push(server), "model.pkl", "lfs-to-file", "git lfs track")
    # On the way of a branch of its own it comes to main all the same, and is told there.
    assert work.push(server, "main:refs/heads/side").ok
    assert_refused(work.push(server), "lfs-to-file")


def test_a_file_that_comes_into_lfs_is_no_alarm(server, work, in_lfs):  # noqa: F811
    commit_as_git_sees_it(work, {"plain.pkl": pointer(OTHER), "models/model.pkl": pointer(OTHER)})
    run = work.push(server)
    assert run.ok and "warning" not in run.output, run.output
    assert told(server) == {"lfs-from-file": ["plain.pkl"]}


@pytest.mark.parametrize("attributes", [b"*.md filter=lfs\n", b"# nothing\n", None, TRACKED + b"*.pkl -filter\n"])
def test_a_track_that_is_dropped_is_on_record(server, work, in_lfs, attributes):  # noqa: F811
    commit_as_git_sees_it(work, {".gitattributes": attributes})
    run = work.push(server)
    assert run.ok and "warning" not in run.output, run.output
    assert told(server) == {"lfs-track-dropped": [".gitattributes"]}


def test_what_stays_is_not_told(server, work, in_lfs):  # noqa: F811
    commit_as_git_sees_it(work, {".gitattributes": b"*.pkl\tfilter=lfs -text\n\"*.md\" filter=lfs\n*.md filter=lfs\n",
                                 "copy.pkl": CLEAN, "moved/model.pkl": pointer(CLEAN), "models/model.pkl": None})
    run = work.push(server)
    assert run.ok and "warning" not in run.output, run.output
    assert told(server) == {}
