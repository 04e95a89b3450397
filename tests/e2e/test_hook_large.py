"""Pushes of long histories and into repositories with many refs."""
import json
import subprocess

from servers import ENVIRONMENT, BareRepository
from test_hook import POISON, WorkingCopy, assert_refused

COMMITS, REFS = 100_000, 50_000


def fast_import(repository, stream):
    subprocess.run(["git", "-C", repository, "fast-import", "--quiet"], input=stream, check=True, env=ENVIRONMENT)


def last_push(server):
    lines = [line for file in sorted((server.data / "audit").glob("*.jsonl")) for line in map(json.loads, file.read_text().splitlines())]
    return [line for line in lines if line.get("event") == "push"][-1]


def history(commits, poisoned_at):
    """Commits that change one file of ten, each; one in the middle brings poison and the next takes it away."""
    out = [b"blob\nmark :1\ndata 4\none\n\nblob\nmark :2\ndata 4\ntwo\n\nblob\nmark :3\ndata %d\n%b\n" % (len(POISON), POISON)]
    for commit in range(commits):
        what = b"M 100644 :%d f%d\n" % (1 + commit // 10 % 2, commit % 10)
        if commit == poisoned_at:
            what += b"M 100644 :3 model.pkl\n"
        elif commit == poisoned_at + 1:
            what += b"D model.pkl\n"
        out.append(b"commit refs/heads/main\ncommitter A <a@a.invalid> %d +0000\ndata 4\nwork\n%b" % (1_600_000_000 + commit, what))
    return b"".join(out)


def test_a_hundred_thousand_commits_and_fifty_thousand_refs(tmp_path):
    server = BareRepository(tmp_path)
    source = tmp_path / "source.git"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", source], check=True, env=ENVIRONMENT)
    push = lambda *refs: subprocess.run(["git", "-C", source, "push", server.path, *(refs or ("main",))], capture_output=True, text=True,
                                        env=ENVIRONMENT, check=False)
    # Poison that only one commit in the middle has.
    fast_import(source, history(COMMITS, COMMITS // 2))
    done = push()
    assert done.returncode != 0 and "PUSH REFUSED" in done.stderr and "model.pkl" in done.stderr and "os.system" in done.stderr, done.stderr
    guilty = subprocess.run(["git", "-C", source, "log", "-1", "--diff-filter=A", "--format=%h", "--abbrev=12", "--", "model.pkl"], check=True,
                            capture_output=True, text=True, env=ENVIRONMENT).stdout.strip()
    assert guilty in done.stderr and server.refs() == {}
    subprocess.run(["git", "-C", source, "update-ref", "-d", "refs/heads/main"], check=True, env=ENVIRONMENT)
    fast_import(source, history(COMMITS, -2))
    done = push()
    assert done.returncode == 0, done.stderr
    assert last_push(server)["commits"] == COMMITS

    ids = server.git("rev-list", f"--max-count={REFS}", "main").split()
    (server.path / "packed-refs").write_text("# pack-refs with: peeled fully-peeled sorted \n" + "".join(
        f"{one} refs/heads/b{number:05}\n" for number, one in enumerate(ids)) + f"{ids[0]} refs/heads/main\n")
    (server.path / "refs/heads/main").unlink(missing_ok=True)
    fast_import(source, b"commit refs/heads/main\ncommitter A <a@a.invalid> 1800000000 +0000\ndata 4\nwork\nfrom refs/heads/main^0\n"
                        b"M 100644 inline new\ndata 4\nnew\n")
    done = push("main", "main:refs/heads/b00007", "main:refs/heads/fresh")
    assert done.returncode == 0, done.stderr
    assert (last_push(server)["commits"], last_push(server)["files"]) == (1, 1), last_push(server)
    fast_import(source, b"commit refs/heads/main\ncommitter A <a@a.invalid> 1800000001 +0000\ndata 4\nwork\nfrom refs/heads/main^0\n"
                        b"M 100644 inline model.pkl\ndata %d\n%b\n" % (len(POISON), POISON))
    done = push("main:refs/heads/b00008")
    assert done.returncode != 0 and "os.system" in done.stderr, done.stderr


def test_fifty_thousand_new_refs(tmp_path):
    """All at a commit that was judged, and the last one at another."""
    server, work = BareRepository(tmp_path), WorkingCopy(tmp_path)
    work.commit({"README.md": b"# hi\n"})
    assert work.push(server).ok
    head = work.git("rev-parse", "HEAD").output.strip()
    work.git("checkout", "-q", "-b", "side")
    poisoned = work.commit({"model.pkl": POISON})
    lines = "# pack-refs with: peeled fully-peeled sorted \n" + "".join(f"{head} refs/tags/t{number:05}\n" for number in range(REFS))
    (work.path / ".git/packed-refs").write_text(lines.replace(f"{head} refs/tags/t{REFS - 1:05}", f"{poisoned} refs/tags/t{REFS - 1:05}"))
    assert_refused(work.push(server, "refs/tags/*:refs/tags/*"), f"refs/tags/t{REFS - 1:05}", "model.pkl", "os.system")
    assert server.refs() == {"refs/heads/main": head}
