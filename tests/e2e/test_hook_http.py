"""Smart HTTP as it is run: nginx, fcgiwrap, git-http-backend, and the LFS API under the same address."""
import hashlib
import json

import pytest

from hub.samples import safetensors
from lfs_server import LfsServer
from servers import BareRepository, HttpServer
from test_hook import CLEAN, POISON, WorkingCopy, assert_refused

WEIGHTS = safetensors({"w": 1 << 20})


@pytest.fixture
def work(tmp_path):
    return WorkingCopy(tmp_path)


def events(server, name):
    return [line for file in sorted((server.data / "audit").glob("*.jsonl"))
            for line in map(json.loads, file.read_text().splitlines()) if line.get("event") == name]


def test_a_push_with_lfs_over_one_address(tmp_path, work):
    """The client is told nothing but the address of the repository: git-lfs finds the rest by itself."""
    lfs = LfsServer(str(tmp_path / "store/{repo}"))
    server = BareRepository(tmp_path, config="lfs:\n  orphans: remove\n  sources:\n"
                                             f"    - folder: {tmp_path}/store/{{repo}}\n      paths: [\"{{root}}/{{0:2}}/{{2:4}}/{{4:}}\"]\n")
    http = HttpServer(tmp_path / "http", tmp_path, lfs.url)
    lfs.link = f"http://127.0.0.1:{http.port}"
    try:
        url = http.url(server)
        work.git("lfs", "install", "--local")
        work.git("lfs", "track", "*.safetensors", "*.pkl")
        head = work.commit({"model.safetensors": WEIGHTS, "vocabulary.pkl": CLEAN, "notes.md": b"notes\n" * 500_000})
        run = work.push(server, url=url)
        assert run.ok, run.output
        assert {request.path for request in lfs.seen if request.method == "PUT"} == {
            f"/repo.git/info/lfs/objects/{hashlib.sha256(data).hexdigest()}" for data in (WEIGHTS, CLEAN)}
        work.commit({"model.pkl": POISON})
        run = work.push(server, url=url)
        assert_refused(run, "model.pkl", "os.system", hashlib.sha256(POISON).hexdigest())
        assert lfs.seen[-1].method != "GET" and any(hashlib.sha256(POISON).hexdigest() in request.path for request in lfs.seen)
        assert server.refs() == {"refs/heads/main": head}
        # It was uploaded before any hook ran, and is gone again.
        assert not lfs.path("repo", hashlib.sha256(POISON).hexdigest()).exists()
        assert [line["outcome"] for line in events(server, "lfs-orphan")] == ["removed"]
        # A pointer alone, past the client's own check.
        work.git("reset", "-q", "--hard", head)
        work.git("lfs", "uninstall", "--local")
        run = work.git("push", "--no-verify", url, "main", check=False)
        assert run.ok, run.output
        assert [(line["who"], line["from"], line["repo"]) for line in events(server, "push")][:2] == [("pusher", "127.0.0.1", "repo")] * 2
        # What the server holds is what a clone gets.
        clone = tmp_path / "clone"
        done = work.clients.run("git", "clone", "-q", url, clone)
        assert done.ok, done.output
        assert (clone / "notes.md").read_bytes() == b"notes\n" * 500_000
    finally:
        http.stop()
        lfs.stop()
