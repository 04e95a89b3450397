"""The hook's sources of LFS objects: folders of every layout, the server's batch API; faults of them are never "absent"."""
import hashlib
import json

import pytest

from hub.samples import safetensors
from hub.store import make_pointer
from lfs_server import LAYOUTS, LfsServer
from servers import BareRepository
from test_hook import CLEAN, POISON, WorkingCopy, assert_refused

WEIGHTS = safetensors({"w": 4096})


def pointer(data: bytes) -> bytes:
    return make_pointer(hashlib.sha256(data).hexdigest(), len(data))


def audit(server) -> list[dict]:
    return [json.loads(line) for file in sorted((server.data / "audit").glob("*.jsonl"))
            for line in file.read_text().splitlines()]


@pytest.fixture
def work(tmp_path):
    return WorkingCopy(tmp_path)


@pytest.fixture
def lfs(tmp_path):
    server = LfsServer(str(tmp_path / "objects"))
    yield server
    server.stop()


def secret(path, text):
    path.write_text(text + "\n")
    path.chmod(0o600)
    return path


def use_lfs(work, lfs, *patterns):
    """The real git-lfs, with `lfs` as the server of its objects."""
    work.git("config", "lfs.url", f"{lfs.url}/repo.git/info/lfs")
    work.git("lfs", "install", "--local")
    work.git("lfs", "track", *patterns)


def batch_config(lfs, *more: str) -> str:
    return "\n".join([f"lfs:\n  sources:\n    - batch: \"{lfs.url}/{{repo}}.git/info/lfs\"", *[f"      {line}" for line in more]]) + "\n"


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("root", ["lfs/objects", "{repo}", ""])
def test_a_real_client_pushes_into_every_layout(tmp_path, work, layout, root):
    """Roots: in the repository, one for each repository, one for all."""
    folder = tmp_path / "repo.git/lfs/objects" if root == "lfs/objects" else tmp_path / "store" / root
    lfs = LfsServer(str(folder), layout)
    place = root if root == "lfs/objects" else str(folder)
    try:
        server = BareRepository(tmp_path, config=f"lfs:\n  roots: [\"{place}\"]\n  paths: [\"{LAYOUTS[layout][1]}\"]\n")
        use_lfs(work, lfs, "*.safetensors", "*.pkl")
        head = work.commit({"model.safetensors": WEIGHTS, "vocabulary.pkl": CLEAN})
        run = work.push(server)
        assert run.ok, run.output
        assert server.refs() == {"refs/heads/main": head}
        work.commit({"model.pkl": POISON})
        assert_refused(work.push(server), "model.pkl", "os.system", hashlib.sha256(POISON).hexdigest())
        assert server.refs() == {"refs/heads/main": head}
    finally:
        lfs.stop()


@pytest.mark.parametrize("login", ["", "token", "user"])
def test_the_batch_api_gives_the_bytes(tmp_path, work, lfs, login):
    lines = []
    if login:
        lines.append(f"token: {secret(tmp_path / 'token', 'sesame')}")
        lfs.authorization = "Bearer sesame"
    if login == "user":
        lines.append("user: gate")
        lfs.authorization = "Basic Z2F0ZTpzZXNhbWU="
    server = BareRepository(tmp_path, config=batch_config(lfs, *lines))
    lfs.put("repo", WEIGHTS)
    work.commit({"model.safetensors": pointer(WEIGHTS)})
    run = work.push(server)
    assert run.ok, run.output
    asked = [request for request in lfs.seen if request.path == "/repo.git/info/lfs/objects/batch"]
    assert json.loads(asked[0].body)["objects"] == [{"oid": hashlib.sha256(WEIGHTS).hexdigest(), "size": len(WEIGHTS)}]
    (got,) = [request for request in lfs.seen if request.method == "GET"]
    assert got.headers["X-Wanted"] == "yes"
    lfs.put("repo", POISON)
    work.commit({"model.pkl": pointer(POISON)})
    assert_refused(work.push(server), "model.pkl", "os.system")
    assert "sesame" not in json.dumps(audit(server))


def test_absent_and_wrong_bytes_of_the_batch_api(tmp_path, work, lfs):
    server = BareRepository(tmp_path, config=batch_config(lfs))
    work.commit({"model.safetensors": pointer(WEIGHTS)})
    assert_refused(work.push(server), "is not on the server", "git lfs push")
    lfs.put("repo", CLEAN, hashlib.sha256(WEIGHTS).hexdigest())
    assert_refused(work.push(server), "lfs-wrong-bytes", hashlib.sha256(CLEAN).hexdigest())


@pytest.mark.parametrize("fault, words", [("500", "answered 500"), ("403", "answered 403"), ("garbage", "no JSON"),
                                          ("large", "more than 8388608 bytes"), ("short", "from LFS API of 127.0.0.1"),
                                          ("down", "from LFS API of 127.0.0.1"), ("login", "answered 401"),
                                          ("silent", "too long"), ("other host", "not among its hosts"),
                                          ("redirect", "not among its hosts"), ("token", "everybody may read it")])
def test_a_source_that_fails_refuses_and_is_never_absent(tmp_path, work, lfs, fault, words):
    lines, options = [], []
    lfs.put("repo", WEIGHTS)
    if fault == "token":
        secret(tmp_path / "token", "x").chmod(0o644)
        lines.append(f"token: {tmp_path}/token")
    elif fault == "login":
        lfs.authorization = "Bearer other"
    elif fault == "other host":
        lfs.link = "http://127.0.0.1:9"
    elif fault == "redirect":
        lfs.redirect = "http://127.0.0.1:9"
    else:
        lfs.fault = fault
    if fault == "silent":
        options = ["--deadline", "2s"]
    # What comes behind a source that failed is not asked: it may have other bytes.
    config = batch_config(lfs, *lines) + f"    - folder: {tmp_path}/objects\n"
    server = BareRepository(tmp_path, *options, config=config)
    work.commit({"model.safetensors": pointer(WEIGHTS)})
    if fault == "down":
        lfs.stop()
    run = work.push(server)
    assert_refused(run, "PUSH REFUSED: the gate could not do its work", words)
    assert "lfs-object-missing" not in run.output and "not on the server" not in run.output
    assert server.refs() == {}


@pytest.mark.parametrize("how", ["link", "redirect"])
def test_links_lead_to_configured_hosts_without_our_token(tmp_path, work, lfs, how):
    other = LfsServer(str(tmp_path / "objects"))
    try:
        lfs.put("repo", WEIGHTS)
        lfs.authorization = "Bearer sesame"
        setattr(lfs, how, other.url)
        server = BareRepository(tmp_path, config=batch_config(lfs, f"token: {secret(tmp_path / 'token', 'sesame')}",
                                                              f"hosts: [\"127.0.0.1:{other.port}\"]"))
        work.commit({"model.safetensors": pointer(WEIGHTS)})
        run = work.push(server)
        assert run.ok, run.output
        (got,) = other.seen
        assert "Authorization" not in got.headers and (how == "link" or "X-Wanted" not in got.headers)
    finally:
        other.stop()


def test_proxies_of_the_environment_are_not_asked(tmp_path, work, lfs):
    server = BareRepository(tmp_path, config=batch_config(lfs))
    lfs.put("repo", WEIGHTS)
    work.commit({"model.safetensors": pointer(WEIGHTS)})
    run = work.push(server, http_proxy="http://127.0.0.1:9", HTTP_PROXY="http://127.0.0.1:9", ALL_PROXY="http://127.0.0.1:9")
    assert run.ok, run.output


def test_the_first_source_that_has_it_wins(tmp_path, work, lfs):
    oid = hashlib.sha256(WEIGHTS).hexdigest()
    server = BareRepository(tmp_path, config=batch_config(lfs) + f"    - folder: {tmp_path}/second\n")
    # Nobody has it; the second has it; the first has other bytes.
    work.commit({"model.safetensors": pointer(WEIGHTS)})
    assert_refused(work.push(server), "is not on the server")
    server.put_lfs(WEIGHTS, oid, "{a}/{b}/{oid}", tmp_path / "second")
    assert work.push(server, "main:refs/heads/one").ok
    lfs.put("repo", POISON, oid)
    work.commit({"copy.safetensors": pointer(WEIGHTS)})
    assert_refused(work.push(server, "main:refs/heads/two"), "lfs-wrong-bytes")


def test_a_verdict_of_the_same_hash_spares_the_bytes_only_if_it_may(tmp_path, work):
    """`known: accept` is for servers that refuse bytes under a wrong id."""
    oid = hashlib.sha256(WEIGHTS).hexdigest()
    config = "lfs:\n  known: {}\n"
    server = BareRepository(tmp_path, config=config.format("read"))
    server.put_lfs(WEIGHTS, oid)
    work.commit({"model.safetensors": pointer(WEIGHTS)})
    assert work.push(server).ok
    (server.path / "lfs/objects" / oid[:2] / oid[2:4] / oid).unlink()
    work.commit({"copy.safetensors": pointer(WEIGHTS)})
    assert_refused(work.push(server), "is not on the server")
    (tmp_path / "hook.yaml").write_text(config.format("accept"))
    run = work.push(server)
    assert run.ok, run.output
    # A verdict is of bytes, not of a decision: what was found is held against the next push too.
    poison = hashlib.sha256(POISON).hexdigest()
    server.put_lfs(POISON)
    work.commit({"m.pkl": pointer(POISON)})
    assert_refused(work.push(server), "os.system")
    (server.path / "lfs/objects" / poison[:2] / poison[2:4] / poison).unlink()
    assert_refused(work.push(server), "os.system")
    # Another size is another object.
    work.git("reset", "-q", "--hard", "HEAD^")
    work.commit({"other.safetensors": make_pointer(oid, len(WEIGHTS) + 1)})
    assert_refused(work.push(server), "is not on the server")
