"""`hubgate hook scan-repo` and `scan-server`: what is in repositories already."""
import hashlib
import json
import signal
import sqlite3
import subprocess
import time
from contextlib import closing

import pytest

from gate import HUBGATE, hubgate
from hub.store import make_pointer
from servers import ENVIRONMENT, BareRepository
from test_hook import CLEAN, POISON, WorkingCopy


@pytest.fixture
def server(tmp_path):
    return BareRepository(tmp_path)


@pytest.fixture
def work(tmp_path):
    return WorkingCopy(tmp_path)


def push_unseen(server, work, *refs):
    """As it was before the gate was installed."""
    hook = server.hook.read_text()
    server.set_hook("exit 0")
    run = work.push(server, *(refs or ("main",)))
    assert run.ok, run.output
    server.hook.write_text(hook)


def scan_repo(server, *options, code):
    run = hubgate("hook", "scan-repo", server.path, "--data", server.data, "--format", "jsonl", *options)
    assert run.returncode == code, run.stdout + run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()], run.stderr


def test_what_would_be_refused_is_told_with_ref_commit_and_path(server, work):
    work.commit({"README.md": b"# hi\n", "vocabulary.pkl": CLEAN})
    poisoned = work.commit({"models/old.pkl": POISON})
    work.commit({"models/old.pkl": None, "weights.bin": make_pointer(hashlib.sha256(POISON).hexdigest(), len(POISON))})
    server.put_lfs(POISON)
    push_unseen(server, work)
    lines, said = scan_repo(server, code=1)
    paths = {line["path"] for line in lines}
    assert f"repo@{poisoned[:12]}:models/old.pkl" in paths, paths
    assert any(path.endswith(":weights.bin") for path in paths), paths
    (line,) = [line for line in lines if line["path"].endswith("old.pkl")]
    assert line["verdict"] == "malicious" and line["findings"][0]["rule"] == "pickle-dangerous-call"
    assert "1 repositories: 1 with objects that would be refused today" in said


def test_objects_that_nothing_names_count(server, work):
    work.commit({"README.md": b"# hi\n"})
    push_unseen(server, work)
    subprocess.run(["git", "-C", str(server.path), "hash-object", "-w", "--stdin"], input=POISON, check=True,
                   env=ENVIRONMENT, capture_output=True)
    lines, _ = scan_repo(server, code=1)
    assert [line["verdict"] for line in lines] == ["malicious"]


def test_a_clean_repository_makes_the_next_push_cheap(server, work):
    work.commit({f"{i}.txt": b"text %d\n" % i for i in range(50)})
    push_unseen(server, work)
    lines, said = scan_repo(server, code=0)
    assert lines == [] and "1 repositories: 0 with objects" in said
    work.commit({"new.txt": b"new\n"})
    run = work.push(server, "main:refs/heads/other")
    assert run.ok, run.output
    # Nothing of the old history had to be judged again for the new branch.
    (log,) = (server.data / "audit").glob("*.jsonl")
    event = [json.loads(line) for line in log.read_text().splitlines()][-1]
    assert event["event"] == "push" and event["files"] == 1, event


def test_sarif_and_a_file_for_the_report(server, work, tmp_path):
    work.commit({"model.pkl": POISON})
    push_unseen(server, work)
    out = tmp_path / "report.sarif"
    run = hubgate("hook", "scan-repo", server.path, "--data", server.data, "--format", "sarif", "--output", out)
    assert run.returncode == 1 and run.stdout == ""
    (result,) = [result for result in json.loads(out.read_text())["runs"][0]["results"]
                 if result["ruleId"] == "pickle-dangerous-call"]
    assert "os.system" in result["message"]["text"]


def test_a_server_is_gone_through_and_a_broken_repository_does_not_end_it(tmp_path, work):
    root = tmp_path / "root"
    for name in ("a", "team/b", "broken"):
        (root / name).mkdir(parents=True)
    first, second, broken = (BareRepository(root / name) for name in ("a", "team/b", "broken"))
    work.commit({"model.pkl": CLEAN})
    push_unseen(first, work)
    work.commit({"model.pkl": POISON})
    push_unseen(second, work)
    push_unseen(broken, work)
    for path in (broken.path / "objects").glob("??/*"):
        path.chmod(0o644)
        path.write_bytes(b"garbage")
    run = hubgate("hook", "scan-server", root, "--data", tmp_path / "data", "--format", "jsonl")
    assert run.returncode == 1, run.stdout + run.stderr
    assert {json.loads(line)["path"].split("@")[0] for line in run.stdout.splitlines()} == {"team/b/repo"}
    assert "3 repositories: 1 with objects that would be refused today" in run.stderr, run.stderr
    assert "1 that could not be read" in run.stderr
    assert "broken/repo.git" in run.stderr


def test_a_run_that_was_killed_goes_on(server, work):
    # Batches of 512 objects are kept; the second run finds them.
    for start in range(0, 9000, 3000):
        work.commit({f"{start}/{i}.txt": b"text %d %d\n" % (start, i) for i in range(3000)})
    push_unseen(server, work)
    process = subprocess.Popen([HUBGATE, "hook", "scan-repo", str(server.path), "--data", str(server.data)],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and analyses(server) == 0:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 512 <= analyses(server) < 9000
    lines, _ = scan_repo(server, code=0)
    assert lines == []


def analyses(server):
    """How many are kept."""
    try:
        with closing(sqlite3.connect(f"file:{server.data}/hubgate.db?mode=ro", uri=True)) as database:
            return database.execute("select count(*) from analyses").fetchone()[0]
    except sqlite3.OperationalError:
        return 0


@pytest.mark.parametrize("path, words", [("/nonexistent", "No such file"), ("/usr/share", "no Git repository")])
def test_what_is_no_repository_gets_one_line(tmp_path, path, words):
    for verb in ("scan-repo", "scan-server"):
        if verb == "scan-server" and path == "/usr/share":
            path = str(tmp_path)
        run = hubgate("hook", verb, path, "--data", tmp_path / "data")
        assert run.returncode == 3 and run.stderr.count("\n") == 1 and words in run.stderr, run.stderr
