"""The hook reads LFS objects from an S3 store that checks signatures."""
import hashlib

import pytest

from hub.samples import safetensors
from lfs_server import LfsServer
from s3_store import S3Store
from servers import BareRepository
from test_hook import CLEAN, POISON, WorkingCopy, assert_refused
from test_hook_lfs import pointer

WEIGHTS = safetensors({"w": 4096})
ABSENT = safetensors({"v": 64})


def key(data: bytes) -> str:
    oid = hashlib.sha256(data).hexdigest()
    return f"lfs/{oid[:2]}/{oid[2:4]}/{oid[4:]}"


@pytest.fixture(scope="module")
def store():
    store = S3Store({key(WEIGHTS): WEIGHTS, key(POISON): POISON, key(CLEAN): POISON})
    yield store
    store.stop()


def config(store, *more: str) -> str:
    lines = [f"- s3: {store.url}", "  key: \"lfs/{0:2}/{2:4}/{4:}\"", *[f"  {line}" for line in more]]
    if not any(line.startswith("bucket") for line in more):
        lines.append(f"  bucket: {store.bucket}")
    return "lfs:\n  sources:\n" + "".join(f"    {line}\n" for line in lines)


@pytest.fixture
def work(tmp_path):
    return WorkingCopy(tmp_path)


@pytest.mark.parametrize("where", ["file", "environment"])
def test_objects_come_out_of_the_bucket(tmp_path, work, store, where):
    credentials = f"credentials: {store.credentials(tmp_path / 'keys')}"
    server = BareRepository(tmp_path, config=config(store, *([credentials] if where == "file" else [])))
    environment = {} if where == "file" else {"AWS_ACCESS_KEY_ID": store.access_key, "AWS_SECRET_ACCESS_KEY": store.secret_key}
    work.commit({"model.safetensors": pointer(WEIGHTS)})
    run = work.push(server, **environment)
    assert run.ok, run.output
    work.commit({"model.pkl": pointer(POISON)})
    assert_refused(work.push(server, **environment), "model.pkl", "os.system")


def test_absent_and_wrong_bytes(tmp_path, work, store):
    server = BareRepository(tmp_path, config=config(store, f"credentials: {store.credentials(tmp_path / 'keys')}"))
    work.commit({"model.safetensors": pointer(ABSENT)})
    assert_refused(work.push(server), "is not on the server")
    work.git("reset", "-q", "--soft", "HEAD")
    work.commit({"model.safetensors": pointer(CLEAN)})
    run = work.push(server)
    assert_refused(run, "model.safetensors", hashlib.sha256(POISON).hexdigest())
    assert "lfs-wrong-bytes" in run.output or "have the sha256" in run.output, run.output


@pytest.mark.parametrize("fault, words", [("wrong secret", "403"), ("nobody", "it answered"), ("no such bucket", "NoSuchBucket"),
                                          ("no store", "answered 404")])
def test_what_is_no_answer_is_not_absent(tmp_path, work, store, fault, words):
    lines = [f"credentials: {store.credentials(tmp_path / 'keys', 'x' * 40 if fault == 'wrong secret' else '')}"]
    if fault == "nobody":
        lines = []
    if fault == "no such bucket":
        lines.append("bucket: nothing-here")
    other = LfsServer(str(tmp_path / "objects"))
    try:
        text = config(store, *lines)
        server = BareRepository(tmp_path, config=text.replace(store.url, other.url) if fault == "no store" else text)
        work.commit({"model.safetensors": pointer(ABSENT)})
        run = work.push(server)
    finally:
        other.stop()
    assert_refused(run, "the gate could not do its work", words, "s3 bucket")
    assert "is not on the server" not in run.output
    assert store.secret_key not in run.output
