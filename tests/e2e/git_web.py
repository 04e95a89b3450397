"""Gates in front of git http-backend: fixtures and helpers of the tests of Git over HTTP."""
from __future__ import annotations

import itertools
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


def gate_at(web: HttpServer, folder: Path, *options: str, **texts: str) -> Gate:
    return Gate(folder, f"http://127.0.0.1:{web.port}", *options, **texts)


def new_repository(web: HttpServer) -> BareRepository:
    """An empty one on the upstream, without a hook."""
    folder = web.root / f"team{next(counter)}"
    folder.mkdir()
    made = BareRepository(folder)
    made.set_hook("exit 0")
    made.git("config", "uploadpack.allowFilter", "true")
    return made


@pytest.fixture
def start(web, tmp_path):
    """Starts gates of a test's own."""
    gates = []

    def make(*options: str, **texts: str) -> Gate:
        made = gate_at(web, tmp_path / f"gate{next(counter)}", *options, **texts)
        gates.append(made)
        return made

    yield make
    for gate in gates:
        gate.stop()


@pytest.fixture(scope="module")
def gate(web, tmp_path_factory):
    made = gate_at(web, tmp_path_factory.mktemp("gate"))
    yield made
    made.stop()


@pytest.fixture
def server(web) -> BareRepository:
    return new_repository(web)


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


def raw_push(gate, web, server, tip: str, pack: bytes, capabilities: bytes = b"report-status side-band-64k", before: str = "0" * 40,
             **headers: str):
    """A push to main of exactly these objects."""
    line = f"{before} {tip} refs/heads/main".encode() + b"\0 " + capabilities
    body = b"%04x" % (len(line) + 4) + line + b"0000" + pack
    return gate.request("POST", f"/{server.path.relative_to(web.root)}/git-receive-pack", body=body,
                        headers={"Content-Type": "application/x-git-receive-pack-request", **headers})


def pack_of(work: Work, *names: str) -> bytes:
    """A pack of these objects and no others."""
    return subprocess.run(["git", "-C", str(work.folder), "pack-objects", "-q", "--stdout"], env=ENVIRONMENT, check=True,
                          input="".join(f"{name}\n" for name in names).encode(), capture_output=True).stdout
