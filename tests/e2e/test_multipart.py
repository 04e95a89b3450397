"""LFS uploads in parts: in any order, side by side, again, abandoned. Nothing is put together at the hub
without a verdict."""
import concurrent.futures
import hashlib
import json
import random
import time
import uuid

import pytest

from clients import Clients
from gate import request
from hub.client import RunningHub
from hub.samples import call, honest_items, large_pickle, pickle_of, safetensors

PART = 300_000
LFS = {"Content-Type": "application/vnd.git-lfs+json"}


def good():
    """Two megabytes that no hub has."""
    return safetensors({uuid.uuid4().hex: 500_000})


def honest():
    return pickle_of(honest_items(random.randrange(150_000, 170_000)))


def evil():
    return large_pickle(2, call("os", "system", f"echo hubgate-marker {uuid.uuid4()}"))


@pytest.fixture(scope="module")
def parts_hub(tmp_path_factory):
    hub = RunningHub(tmp_path_factory.mktemp("parts") / "root", "--no-samples", "--part-size", str(PART))
    yield hub
    hub.stop()


@pytest.fixture
def gate(parts_hub, make_gate):
    parts_hub.reset()
    return make_gate(upstream=parts_hub.url)


@pytest.fixture
def repo(gate):
    name = uuid.uuid4().hex[:10]
    body = json.dumps({"name": name, "organization": "alice", "type": "model"}).encode()
    assert gate.request("POST", "/api/repos/create", body=body, headers={"Content-Type": "application/json"}).status == 200
    return f"alice/{name}"


class Upload:
    """An upload by hand."""

    def __init__(self, gate, repo, data):
        self.gate, self.data, self.oid = gate, data, hashlib.sha256(data).hexdigest()
        action = self.ask(repo)["actions"]["upload"]
        assert int(action["header"].pop("chunk_size")) == PART
        self.links = {int(number): link for number, link in action["header"].items()}
        self.completion = action["href"]

    def ask(self, repo):
        objects = [{"oid": self.oid, "size": len(self.data)}]
        body = json.dumps({"operation": "upload", "transfers": ["basic", "multipart"], "objects": objects}).encode()
        answer = self.gate.request("POST", f"/{repo}.git/info/lfs/objects/batch", body=body, headers=LFS)
        assert answer.status == 200, answer.text
        return json.loads(answer.body)["objects"][0]

    def piece(self, number):
        return self.data[(number - 1) * PART:number * PART]

    def put(self, number, data=None):
        data = self.piece(number) if data is None else data
        return request(self.gate.port, "PUT", self.links[number].removeprefix(self.gate.url), body=data, token=None)

    def complete(self, claims=()):
        body = json.dumps({"oid": self.oid, "parts": list(claims)}).encode()
        return request(self.gate.port, "POST", self.completion.removeprefix(self.gate.url), body=body, token=None, headers=LFS)


def stored(hub, repo, path):
    return request(int(hub.url.rsplit(":", 1)[1]), "GET", f"/{repo}/resolve/main/{path}").status == 302


def completions(hub):
    return [entry for entry in hub.log() if "complete_multipart" in entry["path"]]


def upload_script(repo, *paths):
    return f"""
        import huggingface_hub
        api = huggingface_hub.HfApi()
        for path in {list(map(str, paths))!r}:
            api.upload_file(repo_id={repo!r}, path_or_fileobj=path, path_in_repo=path.rsplit("/", 1)[1])
    """


def test_huggingface_hub(parts_hub, gate, repo, tmp_path):
    clients = Clients(gate.url, tmp_path / "home")
    files = {"w.safetensors": good(), "w.pkl": honest(), "evil.pkl": evil()}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    run = clients.python(upload_script(repo, tmp_path / "w.safetensors", tmp_path / "w.pkl"), HF_HUB_DISABLE_XET="1")
    assert run.ok, run.output
    assert len(completions(parts_hub)) == 2
    for name in ("w.safetensors", "w.pkl"):
        assert gate.get(f"/{repo}/resolve/main/{name}").body == files[name]
    run = clients.python(upload_script(repo, tmp_path / "evil.pkl"), HF_HUB_DISABLE_XET="1")
    assert not run.ok and "hubgate: " in run.output and "os.system" in run.output, run.output
    assert len(completions(parts_hub)) == 2 and not stored(parts_hub, repo, "evil.pkl")


def test_javascript(parts_hub, gate, repo, tmp_path):
    clients = Clients(gate.url, tmp_path / "home")
    data = honest()
    (tmp_path / "w.pkl").write_bytes(data)
    (tmp_path / "evil.pkl").write_bytes(evil())
    run = clients.js_upload(repo + "js", tmp_path / "w.pkl")
    assert run.ok, run.output
    assert gate.get(f"/{repo}js/resolve/main/w.pkl").body == data
    run = clients.js_upload(repo + "evil", tmp_path / "evil.pkl")
    assert not run.ok and "hubgate: " in run.output and "os.system" in run.output, run.output


def test_parts_come_in_any_order_and_again(parts_hub, gate, repo):
    upload = Upload(gate, repo, honest())
    order = list(upload.links) + list(upload.links)[:2]
    random.Random(4).shuffle(order)
    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        def put(number):
            while (answer := upload.put(number)).status == 503:  # it is being sent already
                time.sleep(0.05)
            return answer
        answers = list(pool.map(put, order))
    assert {answer.status for answer in answers} == {200} and all(answer.headers["ETag"] for answer in answers)
    assert upload.complete().status == 200
    assert upload.complete().status == 200  # whose answer was lost
    assert len(completions(parts_hub)) == 1
    assert upload.put(1).status == 400


def test_a_completion_waits_for_all_parts(parts_hub, gate, repo):
    upload = Upload(gate, repo, good())
    assert upload.complete().status == 400
    for number in list(upload.links)[1:]:
        assert upload.put(number).status == 200
    claims = [{"partNumber": number, "etag": "x"} for number in upload.links]
    assert upload.complete(claims).status == 400 and completions(parts_hub) == []
    assert upload.put(1).status == 200
    assert upload.complete().status == 200


def test_poison_in_the_last_part(parts_hub, gate, repo):
    upload = Upload(gate, repo, evil())
    for number in reversed(list(upload.links)):
        assert upload.put(number).status == 200
    answer = upload.complete()
    assert answer.status == 403 and "os.system" in answer.text
    assert completions(parts_hub) == []
    assert "hubgate: " in upload.ask(repo)["error"]["message"]


def test_a_part_may_not_change_once_it_was_scanned(parts_hub, gate, repo):
    upload = Upload(gate, repo, good())
    for number in upload.links:
        assert upload.put(number).status == 200
    changed = upload.put(1, upload.piece(1)[:-1] + b"x")
    assert changed.status == 403 and "other bytes" in changed.text
    assert upload.complete().status == 400
    assert upload.put(1).status == 200
    assert upload.complete().status == 200


def test_other_bytes_than_the_oid_says(parts_hub, gate, repo):
    upload = Upload(gate, repo, good())
    for number in upload.links:
        piece = upload.piece(number)
        upload.put(number, piece if number > 1 else piece[:-1] + b"x")
    answer = upload.complete()
    assert answer.status == 403 and "sha256" in answer.text and completions(parts_hub) == []


def test_a_link_takes_its_own_part(gate, repo):
    upload = Upload(gate, repo, good())
    assert upload.put(1, upload.piece(1)[:-1]).status == 400
    path = upload.links[1].removeprefix(gate.url)
    assert gate.request("PUT", path.replace("/part/", "/upload/"), body=upload.piece(1)).status == 403
    assert gate.request("POST", path.replace("/part/", "/complete/"), body=b"{}").status == 403
    assert gate.request("PUT", path[:-3] + "abc", body=upload.piece(1)).status == 403
    assert gate.get(path).status == 403


def test_storage_that_fails_is_asked_again(parts_hub, gate, repo):
    upload = Upload(gate, repo, good())
    parts_hub.fault(role="cdn", status=500, times=1)
    assert upload.put(1).status == 502
    for number in upload.links:
        assert upload.put(number).status == 200
    parts_hub.fault(role="hub", status=500, times=1)
    assert upload.complete().status == 502
    # It did its work before it failed: the object is there, judged, and nothing is left to send.
    answer = upload.ask(repo)
    assert "actions" not in answer and "error" not in answer


def test_a_gate_that_was_killed_has_not_seen_the_parts(parts_hub, gate, repo):
    upload = Upload(gate, repo, evil())
    *most, last = upload.links
    for number in most:
        assert upload.put(number).status == 200
    gate.stop(9)
    gate.start()
    for number in (last, most[0]):
        assert upload.put(number).status in (200, 403)
    assert upload.complete().status in (400, 403) and completions(parts_hub) == []
    upload = Upload(gate, repo, good())
    for number in upload.links:
        assert upload.put(number).status == 200
    assert upload.complete().status == 200


def spool_bytes(gate):
    return int(next(line for line in gate.admin("/metrics").text.splitlines() if line.startswith("hubgate_spool_bytes")).split()[-1])


def test_an_abandoned_upload_is_forgotten(parts_hub, make_gate):
    parts_hub.reset()
    gate = make_gate(upstream=parts_hub.url, config="limits:\n  stall: 1s\n")
    name = uuid.uuid4().hex[:10]
    body = json.dumps({"name": name, "organization": "alice", "type": "model"}).encode()
    gate.request("POST", "/api/repos/create", body=body, headers={"Content-Type": "application/json"})
    upload = Upload(gate, f"alice/{name}", honest())
    for number in list(upload.links)[1:]:
        assert upload.put(number).status == 200
    assert spool_bytes(gate) > PART
    deadline = time.monotonic() + 60
    while spool_bytes(gate) > 0 and time.monotonic() < deadline:
        time.sleep(0.5)
    assert spool_bytes(gate) == 0
    assert upload.put(1).status == 200
    assert upload.complete().status == 400 and completions(parts_hub)[-1:] == []


def test_parts_have_a_quota(parts_hub, make_gate):
    parts_hub.reset()
    gate = make_gate(upstream=parts_hub.url, config=f"limits:\n  spool: {2 * PART}\n")
    name = uuid.uuid4().hex[:10]
    body = json.dumps({"name": name, "organization": "alice", "type": "model"}).encode()
    gate.request("POST", "/api/repos/create", body=body, headers={"Content-Type": "application/json"})
    upload = Upload(gate, f"alice/{name}", good())
    last = max(upload.links)
    answers = [upload.put(number).status for number in range(last, 1, -1)]
    assert answers[:2] == [200, 200] and 429 in answers, answers
    for number in upload.links:  # in order all of them find room
        deadline = time.monotonic() + 30
        while (answer := upload.put(number)).status == 429 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert answer.status == 200, answer.text
    assert upload.complete().status == 200
