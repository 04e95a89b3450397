"""Git over HTTP through the gate, against git http-backend: clone, fetch, push; packs judged object by object."""
import itertools
import os
import subprocess
from pathlib import Path

import pytest

from gate import Gate
from hub.samples import COMMAND, call, models, pickle_of, safetensors
from servers import ENVIRONMENT, BareRepository, HttpServer

POISON = pickle_of(call("os", "system", COMMAND))
CLEAN = models()["demo/clean"]["vocabulary.pkl"]
BASE = {"vocabulary.pkl": CLEAN, "model.safetensors": safetensors({"a": 64}), "README.md": b"# hi\n", "sub/config.json": b"{}\n"}
counter = itertools.count()


class Work:
    """A clone, or what becomes one."""

    def __init__(self, folder: Path):
        self.folder = folder

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
        options = {"GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@a.invalid", "GIT_COMMITTER_NAME": "A",
                   "GIT_COMMITTER_EMAIL": "a@a.invalid", "GIT_TERMINAL_PROMPT": "0", "HOME": str(self.folder.parent)}
        return subprocess.run(["git", "-C", str(self.folder), *arguments], env={**ENVIRONMENT, **options, **environment},
                              capture_output=True, text=True, check=False, timeout=120)

    def git(self, *arguments: str, **environment: str) -> str:
        done = self.run(*arguments, **environment)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self, files: dict[str, bytes], message: str = "work") -> str:
        for path, data in files.items():
            (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / path).write_bytes(data)
        self.git("add", "-A")
        self.git("commit", "-qm", message)
        return self.git("rev-parse", "HEAD")


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    folder = tmp_path_factory.mktemp("web")
    (folder / "root").mkdir()
    server = HttpServer(folder / "nginx", folder / "root")
    yield server
    server.stop()


@pytest.fixture
def start(web, tmp_path):
    """Starts gates of a test's own."""
    gates = []

    def make(*options: str, **texts: str) -> Gate:
        made = Gate(tmp_path / f"gate{next(counter)}", f"http://127.0.0.1:{web.port}", *options, **texts)
        gates.append(made)
        return made

    yield make
    for gate in gates:
        gate.stop()


@pytest.fixture(scope="module")
def gate(web, tmp_path_factory):
    made = Gate(tmp_path_factory.mktemp("gate"), f"http://127.0.0.1:{web.port}")
    yield made
    made.stop()


@pytest.fixture
def server(web) -> BareRepository:
    """An empty repository on the upstream, without a hook."""
    folder = web.root / f"team{next(counter)}"
    folder.mkdir()
    made = BareRepository(folder)
    made.set_hook("exit 0")
    made.git("config", "uploadpack.allowFilter", "true")
    return made


@pytest.fixture
def work(tmp_path) -> Work:
    folder = tmp_path / "work"
    subprocess.run(["git", "init", "-q", "-b", "main", str(folder)], check=True, env=ENVIRONMENT)
    return Work(folder)


def url(gate: Gate, web: HttpServer, server: BareRepository) -> str:
    return f"{gate.url}/{server.path.relative_to(web.root)}"


def clone(gate, web, server, out: Path, *options: str) -> subprocess.CompletedProcess:
    return subprocess.run(["git", "clone", *options, url(gate, web, server), str(out)], env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=120)


def fill(work: Work, server: BareRepository, *commits: dict[str, bytes]) -> None:
    """Puts commits on the upstream, around the gate."""
    for files in commits:
        work.commit(files)
    work.git("push", "-q", str(server.path), "HEAD:main")


def same(server: BareRepository, folder: Path) -> None:
    done = subprocess.run(["git", "-C", str(folder), "fsck", "--full", "--strict"], env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert Work(folder).git("rev-parse", "HEAD") == server.git("rev-parse", "main").strip()


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
