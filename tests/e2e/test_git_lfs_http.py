"""git-lfs beside Git over HTTP through the gate: locks, pointers whose objects are there, absent, refused or other bytes."""
import base64
import hashlib
import json
import subprocess

import pytest

from git_web import BASE, CLEAN, POISON, Work, gate_at, new_repository, url
from git_web import work  # noqa: F401 (fixture)
from lfs_server import LfsServer
from servers import ENVIRONMENT, HttpServer


@pytest.fixture(scope="module")
def lfs(tmp_path_factory):
    made = LfsServer(str(tmp_path_factory.mktemp("lfs")) + "/{repo}", checks=False)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def web(lfs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("web")
    (folder / "root").mkdir()
    server = HttpServer(folder / "nginx", folder / "root", lfs=lfs.url)
    lfs.link = f"http://127.0.0.1:{server.port}"
    yield server
    server.stop()


@pytest.fixture(scope="module")
def gate(web, tmp_path_factory):
    made = gate_at(web, tmp_path_factory.mktemp("gate"))
    yield made
    made.stop()


@pytest.fixture
def server(web):
    return new_repository(web)


def name_of(web, server) -> str:
    return str(server.path.relative_to(web.root)).removesuffix(".git")


def use_lfs(work: Work, target: str, user: str) -> None:
    """git-lfs as its users have it; who they are is in every request."""
    word = base64.b64encode(f"{user}:secret".encode()).decode()
    work.git("lfs", "install", "--local")
    work.git("config", "http.extraHeader", f"Authorization: Basic {word}")
    work.git("config", "lfs.locksverify", "true")
    work.git("remote", "add", "origin", target)
    work.git("config", f"lfs.{target}/info/lfs.locksverify", "true")


@pytest.fixture
def alice(gate, web, server, work) -> Work:
    use_lfs(work, url(gate, web, server), "alice")
    work.git("lfs", "track", "*.pkl", "*.safetensors")
    work.commit(BASE)
    done = work.run("push", "-u", "origin", "main")
    assert done.returncode == 0, done.stderr
    return work


def clone_as(user: str, gate, web, server, folder) -> Work:
    word = base64.b64encode(f"{user}:secret".encode()).decode()
    options = ["-c", f"http.extraHeader=Authorization: Basic {word}", "-c", "filter.lfs.process=git-lfs filter-process",
               "-c", "filter.lfs.smudge=git-lfs smudge -- %f", "-c", "filter.lfs.required=true"]
    done = subprocess.run(["git", *options, "clone", "-q", url(gate, web, server), str(folder)], env=ENVIRONMENT, capture_output=True,
                          text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    made = Work(folder)
    made.git("remote", "rename", "origin", "old")
    use_lfs(made, url(gate, web, server), user)
    return made


def test_files_and_locks_of_two_people(alice, gate, web, server, lfs, tmp_path):
    bob = clone_as("bob", gate, web, server, tmp_path / "bob")
    for name, data in BASE.items():
        assert (bob.folder / name).read_bytes() == data
    assert "Locked vocabulary.pkl" in alice.git("lfs", "lock", "vocabulary.pkl")
    alice.git("lfs", "lock", "model.safetensors")
    lfs.locks.page = 1  # the list comes in parts
    try:
        listed = bob.git("lfs", "locks")
    finally:
        lfs.locks.page = 100
    assert "vocabulary.pkl" in listed and "model.safetensors" in listed and "alice" in listed, listed
    done = bob.run("lfs", "lock", "vocabulary.pkl")
    assert done.returncode != 0 and "already created lock" in done.stderr + done.stdout, done.stderr
    # What is locked can't be pushed by others, and can by who has locked it.
    done = bob.run("lfs", "unlock", "vocabulary.pkl")
    assert done.returncode != 0, done.stdout
    (bob.folder / "vocabulary.pkl").chmod(0o644)
    bob.commit({"vocabulary.pkl": b"\x80\x04N."})
    done = bob.run("push", "origin", "HEAD:main")
    told = done.stderr + done.stdout
    assert done.returncode != 0 and "vocabulary.pkl" in told and "alice" in told and "locked files" in told, told
    (alice.folder / "vocabulary.pkl").chmod(0o644)
    alice.commit({"vocabulary.pkl": b"\x80\x04K\x01."})
    done = alice.run("push", "origin", "main")
    assert done.returncode == 0, done.stderr
    assert "Unlocked vocabulary.pkl" in alice.git("lfs", "unlock", "vocabulary.pkl")
    alice.git("lfs", "unlock", "model.safetensors")
    assert alice.git("lfs", "locks") == ""


def test_answers_about_locks_are_written_anew(alice, gate, web, server):
    alice.git("lfs", "lock", "vocabulary.pkl")
    base = f"/{server.path.relative_to(web.root)}/info/lfs/locks"
    answer = gate.get(base)
    assert answer.status == 200 and b"href" not in answer.body, answer.body
    assert [lock["path"] for lock in json.loads(answer.body)["locks"]] == ["vocabulary.pkl"]
    assert gate.get(f"{base}?path=other.pkl").text == '{"locks":[]}'
    for method, path, body in (("DELETE", base, None), ("POST", base, b"no JSON"), ("POST", base, b"{}"), ("POST", f"{base}/1/steal", b"{}")):
        assert gate.request(method, path, body=body).status == 403, path
    assert gate.request("POST", f"{base}/999/unlock", body=b"{}").status == 404


def pointer(data: bytes, size: int | None = None) -> bytes:
    oid = hashlib.sha256(data).hexdigest()
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(data) if size is None else size}\n".encode()


@pytest.mark.parametrize("case", ["there", "absent", "poisoned", "other bytes", "other size"])
def test_the_object_of_a_pushed_pointer(case, gate, web, server, lfs, work):
    data = (POISON if case == "poisoned" else CLEAN) + case.encode()
    if case != "absent":
        kept = data[:-1] + b"!" if case == "other bytes" else data
        lfs.put(name_of(web, server), kept, hashlib.sha256(data).hexdigest())
    work.commit({"README.md": b"# hi\n", "deep/model.pkl": pointer(data, 17 if case == "other size" else None)})
    done = work.run("push", url(gate, web, server), "main")
    if case == "there":
        assert done.returncode == 0, done.stderr
        return
    assert done.returncode != 0 and "deep/model.pkl" in done.stderr and "remote rejected" in done.stderr, done.stderr
    assert {"absent": "not on the server", "poisoned": "os.system", "other bytes": "sha256", "other size": ""}[case] in done.stderr, done.stderr
    assert server.refs() == {}


def test_a_clone_says_nothing_of_its_pointers(gate, web, server, lfs, work, tmp_path):
    """Poison that came by another road: who clones only its pointer has not had it judged."""
    lfs.put(name_of(web, server), POISON)
    work.commit({"README.md": b"# hi\n", "deep/model.pkl": pointer(POISON)})
    work.git("push", "-q", str(server.path), "HEAD:hidden")
    done = subprocess.run(["git", "clone", "-q", "-b", "hidden", url(gate, web, server), str(tmp_path / "out")], env=ENVIRONMENT,
                          capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    done = Work(tmp_path / "out").run("push", "origin", "hidden:main")
    assert done.returncode != 0 and "deep/model.pkl" in done.stderr and "os.system" in done.stderr, done.stderr
    assert set(server.refs()) == {"refs/heads/hidden"}
