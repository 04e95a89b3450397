"""Blobs that the policy quarantines are kept for review, on both roads of Git over HTTP."""
import hashlib

from git_web import BASE, POISON, clone, fill, server, start, url, web, work  # noqa: F401 (fixtures)

POLICY = """
version: 1
name: kept-aside
rules:
  - {id: malicious, match: {severity: malicious}, action: quarantine}
  - {id: rest, action: allow}
"""


def kept(gate) -> dict[str, bytes]:
    folder = gate.data / "quarantine"
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


def test_of_a_push(start, web, server, work):  # noqa: F811
    gate = start(policy=POLICY)
    large = POISON + b"\0" * 9_000_000  # in a file, not in memory
    work.commit({**BASE, "a/model.pkl": POISON, "b/again.pkl": POISON, "large.pkl": large})
    done = work.run("push", url(gate, web, server), "main")
    assert done.returncode != 0 and "os.system" in done.stderr, done.stderr
    assert kept(gate) == {hashlib.sha256(data).hexdigest(): data for data in (POISON, large)}
    assert hashlib.sha256(POISON).hexdigest()[:12] in gate.run("quarantine", "list").stdout
    assert server.objects() == set()


def test_of_a_clone(start, web, server, work, tmp_path):  # noqa: F811
    gate = start(policy=POLICY)
    fill(work, server, BASE, {"models/deep/model.pkl": POISON})
    done = clone(gate, web, server, tmp_path / "out")
    assert done.returncode != 0 and "os.system" in done.stderr, done.stderr
    assert kept(gate) == {hashlib.sha256(POISON).hexdigest(): POISON}
