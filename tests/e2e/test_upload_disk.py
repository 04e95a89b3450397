"""A disk that fails, as a full one does, under an upload, on each road: a clean refusal, and the same upload works as soon as
it is mended. Never a committed file without bytes, never bytes at the hub without a verdict."""
import uuid

import pytest

from clients import CAS
from gate import Gate
from gate import request as ask
from hub.client import RunningHub
from hub.samples import large_pickle, text
from test_hook_failing_disk import disk  # noqa: F401
from test_multipart import PART, Upload
from test_upload import batch, commit, create, inline, linked, put, sha, stored
from test_xet_faults import assert_it_can_be_sent_again
from test_xet_push import NAME, SHARD, TERMINATE, Cas, chunks, last_frame, requests, xorb  # noqa: F401

WHERE = {"spool": "/data/spool", "records": "hubgate.db", "audit": "/audit/"}


@pytest.fixture(scope="module")
def disk_hub(tmp_path_factory):
    hub = RunningHub(tmp_path_factory.mktemp("disk") / "root", "--no-samples", "--cas", str(CAS), "--part-size", str(PART))
    yield hub
    hub.stop()


@pytest.fixture
def hub(disk_hub):
    disk_hub.reset()
    return disk_hub


@pytest.fixture(params=WHERE)
def gate(request, hub, disk, tmp_path):  # noqa: F811
    """One whose disk fails until it is mended."""
    failing = tmp_path / "failing"
    gate = Gate(tmp_path / "gate", hub.url, config=TERMINATE, LD_PRELOAD=str(disk), FAILING_HOW="write",
                FAILING_PATH=WHERE[request.param], FAILING_WHILE=str(failing))
    failing.touch()
    gate.mend = failing.unlink
    yield gate
    gate.stop()


@pytest.fixture
def repo(hub):
    """Made around the gate: its disk may fail before anything is uploaded."""
    name = uuid.uuid4().hex[:10]
    around = Around(hub)
    create(around, f"alice/{name}")
    return f"alice/{name}"


class Around:
    def __init__(self, hub):
        self.port = int(hub.url.rsplit(":", 1)[1])

    def request(self, method, path, **options):
        return ask(self.port, method, path, **options)


def honest() -> bytes:
    """More than the gate keeps in memory, and new to the hub."""
    return large_pickle(4, text(uuid.uuid4().hex))


def assert_refused(answer):
    assert answer.status in (403, 429, 502, 503) and "hubgate: " in answer.text, (answer.status, answer.text)


def test_a_whole_object(hub, gate, repo):
    data = honest()
    action = batch(gate, repo, "upload", sha(data), len(data))["actions"]["upload"]
    try:
        assert_refused(put(gate, action, data))
    except OSError:
        pass  # it hung up before all was sent
    assert stored(hub, repo, "w.pkl") is None and not requests(hub, "/commit/")
    assert "actions" in batch(gate, repo, "upload", sha(data), len(data))  # the hub does not have it
    gate.mend()
    assert put(gate, batch(gate, repo, "upload", sha(data), len(data))["actions"]["upload"], data).status == 200
    assert commit(gate, repo, linked("w.pkl", sha(data), len(data))).status == 200
    assert stored(hub, repo, "w.pkl") == data


def test_parts(hub, gate, repo):
    upload = Upload(gate, repo, data := honest())
    statuses = [upload.put(number).status for number in upload.links]
    answer = upload.complete()
    assert answer.status in (400, 403, 429, 502, 503) and "hubgate: " in answer.text, (statuses, answer.status, answer.text)
    assert not requests(hub, "complete_multipart")
    gate.mend()
    upload = Upload(gate, repo, data)
    for number in upload.links:
        assert upload.put(number).status == 200
    assert upload.complete().status == 200
    assert commit(gate, repo, linked("w.pkl", sha(data), len(data))).status == 200
    assert stored(hub, repo, "w.pkl") == data


def test_a_commit(hub, gate, repo, request):
    answer = commit(gate, repo, inline("notes.md", b"# x\n"))
    if "spool" in request.node.name:  # its files lie in memory
        assert answer.status == 200
        return
    assert_refused(answer)
    assert not requests(hub, "/commit/") and stored(hub, repo, "notes.md") is None
    gate.mend()
    assert commit(gate, repo, inline("notes.md", b"# x\n")).status == 200
    assert stored(hub, repo, "notes.md") == b"# x\n"


def test_xet(hub, gate, xorb):  # noqa: F811
    repo = f"alice/{uuid.uuid4().hex[:10]}"
    create(Around(hub), repo)
    cas = Cas(gate, repo, made=True)
    answer = cas.post(f"v1/xorbs/default/{NAME}", xorb)
    if answer.status == 200:
        answer = last_frame(cas.post("v2/shards", SHARD))
        assert answer["type"] == "error" and "hubgate: " in answer["message"], answer
    else:
        assert_refused(answer)
    assert not requests(hub, "/_cas/", "/commit/")
    gate.mend()
    cas = Cas(gate, repo, made=True)
    assert_it_can_be_sent_again(hub, cas, repo, xorb)
