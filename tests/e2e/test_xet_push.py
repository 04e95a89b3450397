"""Pushes over Xet, the road of today's default client: huggingface_hub 2 with hf_xet, against a real CAS."""
import json
import random
import signal
import struct
import subprocess
import time
import uuid

import pytest

from clients import CAS, PYTHON, Clients
from gate import ROOT, Gate
from hub.client import RunningHub
from hub.samples import call, honest_items, large_pickle, pickle_of, safetensors
from hub.xet_write import hash_text
from test_upload import stored

EVIL = pickle_of(call("os", "system", "echo hubgate-marker"), 2)


@pytest.fixture(scope="module")
def xet_hub(tmp_path_factory):
    hub = RunningHub(tmp_path_factory.mktemp("xet") / "root", "--no-samples", "--cas", str(CAS))
    yield hub
    hub.stop()


@pytest.fixture
def hub(xet_hub):
    xet_hub.reset()
    return xet_hub


@pytest.fixture
def repo():
    return f"alice/{uuid.uuid4().hex[:10]}"


HONEST = {
    "config.json": b'{"model_type": "x"}\n',
    "model.safetensors": safetensors({"w": 290_000}),
    "weights.pkl": pickle_of(honest_items(100_000)),
}
TERMINATE = "xet: terminate\n"


@pytest.fixture(scope="module")
def gate(xet_hub, tmp_path_factory):
    gate = Gate(tmp_path_factory.mktemp("gate"), xet_hub.url, config=TERMINATE)
    yield gate
    gate.stop()


@pytest.fixture
def clients(gate, tmp_path):
    return Clients(gate.url, tmp_path / "home")


def requests(hub, *parts) -> list[str]:
    return [entry["path"] for entry in hub.log() if any(part in entry["path"] for part in parts)]


def noise(seed, size) -> bytes:
    """A safetensors file that nothing compresses."""
    return safetensors({"w": size // 4}, seed)


def test_the_stand_in_takes_xet_without_a_gate(hub, repo, tmp_path):
    run = Clients(hub.url, tmp_path / "home").upload_folder(repo, {"w.safetensors": HONEST["model.safetensors"]}, tmp_path / "up")
    assert run.ok, run.output
    assert stored(hub, repo, "w.safetensors") == HONEST["model.safetensors"]
    assert requests(hub, "/_cas/v2/shards") and not any(entry["method"] == "PUT" for entry in hub.log())


def test_a_folder_arrives_byte_for_byte(hub, gate, clients, repo, tmp_path):
    run = clients.upload_folder(repo, HONEST, tmp_path / "up")
    assert run.ok, run.output
    for path, data in HONEST.items():
        assert stored(hub, repo, path) == data, path
    assert requests(hub, "/_cas/v2/shards") and requests(hub, "/_cas/v1/xorbs/")
    assert not requests(hub, "xorb-grants", "/v1/chunks/", "info/lfs")
    tokens = [entry["headers"].get("authorization", "") for entry in hub.log() if entry["path"].startswith("/_cas")]
    assert tokens and all(token.startswith("Bearer xet_") for token in tokens)


@pytest.mark.parametrize("path, data", [
    ("w.pkl", EVIL),
    ("late.pkl", large_pickle(3, call("os", "system", "echo hubgate-marker"))),
], ids=["small", "late"])
def test_poison_is_refused_with_its_reason(hub, clients, repo, tmp_path, path, data):
    run = clients.upload_folder(repo, {path: data, "fine.safetensors": noise(4, 300_000)}, tmp_path / "up")
    assert not run.ok, run.output
    assert "hubgate: " in run.output and "os.system" in run.output, run.output
    assert not requests(hub, "/_cas/v1/xorbs/", "/shards", "/commit/")
    assert stored(hub, repo, path) is None


def test_an_edit_sends_only_what_is_new(hub, clients, repo, tmp_path):
    """The second upload names chunks of the first one's xorb, which the client does not send again."""
    first = noise(1, 3_000_000)
    run = clients.upload_folder(repo, {"w.safetensors": first}, tmp_path / "one")
    assert run.ok, run.output
    hub.reset()
    second = bytearray(first)
    second[1_500_000:1_500_004] = b"\x00\x00\x80\x3f"
    run = clients.upload_folder(repo, {"w.safetensors": bytes(second)}, tmp_path / "two")
    assert run.ok, run.output
    assert stored(hub, repo, "w.safetensors") == bytes(second)
    sent = [entry["received"] for entry in hub.log() if "/xorbs/" in entry["path"]]
    assert sum(sent) < 500_000, sent


def test_clean_chunks_that_make_a_poisoned_file(hub, clients, repo, tmp_path):
    """Each half passes alone as bytes of nothing; only the file that they make together is harmful."""
    evil = large_pickle(1, call("os", "system", "echo hubgate-marker"))
    run = clients.upload_folder(repo, {"w.bin": evil}, tmp_path / "one")
    assert not run.ok and "os.system" in run.output, run.output
    # The client remembers what it has sent and sends less: the verdict is the file's all the same.
    run = clients.upload_folder(repo, {"w.bin": evil}, tmp_path / "two")
    assert not run.ok and "os.system" in run.output, run.output
    assert stored(hub, repo, "w.bin") is None


def test_the_gate_is_killed_in_the_middle(hub, make_gate, tmp_path, repo):
    """The client keeps what it knows; the gate that comes back knows nothing, and makes it send all again."""
    gate = make_gate(upstream=hub.url, config=TERMINATE)
    clients = Clients(gate.url, tmp_path / "home")
    first = noise(7, 1_000_000)
    assert clients.upload_folder(repo, {"w.safetensors": first}, tmp_path / "one").ok
    hub.reset()
    hub.fault(role="hub", method="POST", path="/_cas/v1/xorbs/*", delay=3)
    edited = first[:500_000] + b"\x00\x00\x80\x3f" + first[500_004:]
    (tmp_path / "two").mkdir()
    (tmp_path / "two/w.safetensors").write_bytes(edited)
    script = f"import huggingface_hub; huggingface_hub.upload_folder(repo_id={repo!r}, folder_path={str(tmp_path / 'two')!r})"
    with subprocess.Popen([PYTHON, "-c", script], env=clients.environment, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
        deadline = time.monotonic() + 60
        while not requests(hub, "/_cas/v1/xorbs/") and time.monotonic() < deadline:
            time.sleep(0.05)
        gate.stop(signal.SIGKILL)
        gate.start()
        output, _ = running.communicate(timeout=140)
        assert running.returncode != 0 and "Run it again" in output, output
    assert stored(hub, repo, "w.safetensors") == first
    hub.reset()
    run = clients.upload_folder(repo, {"w.safetensors": edited}, tmp_path / "two")
    assert run.ok, run.output
    assert stored(hub, repo, "w.safetensors") == edited


# What no client of today would send


class Cas:
    """A hand-made client of the gate's CAS; each is a person of its own."""

    def __init__(self, gate, repo, made=False):
        self.gate = gate
        if not made:
            create(gate, repo)
        self.person = "hf_" + repo.split("/")[1]
        answer = gate.get(f"/api/models/{repo}/xet-write-token/main", token=self.person)
        assert answer.status == 200, answer.text
        token = json.loads(answer.body)
        assert token["casUrl"].startswith(gate.url) and "xet_" not in answer.everything
        self.path, self.token = token["casUrl"].removeprefix(gate.url), token["accessToken"]

    def post(self, call, body):
        return self.gate.request("POST", f"{self.path}/{call}", body=body, headers={"Authorization": f"Bearer {self.token}"}, token=None)

    def get(self, call):
        return self.gate.get(f"{self.path}/{call}", headers={"Authorization": f"Bearer {self.token}"}, token=None)


def create(gate, repo):
    body = json.dumps({"name": repo.split("/")[1], "organization": repo.split("/")[0], "type": "model"}).encode()
    answer = gate.request("POST", "/api/repos/create", body=body, headers={"Content-Type": "application/json"})
    assert answer.status == 200, answer.text


SHARD = (ROOT / "proxy/xet/vectors/f32_1m3.upload.shard").read_bytes()  # one file of one term, and its xorb
NAME = hash_text(SHARD[96:128])


def floats() -> bytes:
    """What the shard is of (proxy/xet/vectors.hpp)."""
    words, state, mask = [], 3, 2**64 - 1
    for _ in range(65_536):
        state = (state + 0x9E3779B97F4A7C15) & mask
        z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        words.append(z ^ (z >> 31))
    numbers = struct.unpack("<262144H", struct.pack("<65536Q", *words))
    return struct.pack("<262144I", *(0x3F800000 | ((number << 3 | at & 7) & 0x7FFFFF)
                                     for at, number in enumerate(numbers))) + b"\1\2\3"


@pytest.fixture(scope="module")
def chunks() -> list[bytes]:
    data, out = floats(), []
    for record in range(336, len(SHARD) - 48, 48):
        start, size = struct.unpack_from("<II", SHARD, record + 32)
        out.append(data[start:start + size])
    assert b"".join(out) == data
    return out


def stored_xorb(chunks) -> bytes:
    """Version 0, length, scheme 0, length."""
    return b"".join(b"\0" + len(chunk).to_bytes(3, "little") + b"\0" + len(chunk).to_bytes(3, "little") + chunk for chunk in chunks)


@pytest.fixture(scope="module")
def xorb(chunks) -> bytes:
    return stored_xorb(chunks)


def last_frame(answer) -> dict:
    return json.loads(answer.text.strip().splitlines()[-1])


def test_a_shard_is_passed_on_only_with_its_bytes(hub, gate, repo, xorb):
    cas = Cas(gate, repo)
    answer = last_frame(cas.post("v2/shards", SHARD))
    assert answer["type"] == "error" and "Run it again" in answer["message"], answer
    token = json.loads(gate.get(f"/api/models/{repo}/xet-write-token/main", token=cas.person).body)
    assert token["casUrl"] != gate.url + cas.path  # another address: clients begin anew
    answer = cas.post(f"v1/xorbs/default/{NAME}", xorb)
    assert (answer.status, answer.body) == (200, b'{"was_inserted":true}'), answer.text
    assert not requests(hub, "/_cas/v1/xorbs/")
    # Numbers without a header: no format claims them, so the policy annotates.
    answer = last_frame(cas.post("v2/shards", SHARD))
    assert answer == {"type": "result"}, answer
    assert len(requests(hub, "/_cas/v1/xorbs/")) == 1
    assert json.loads(cas.post("v1/shards", SHARD).body) == {"result": 1}
    assert len(requests(hub, "/_cas/v1/xorbs/")) == 1


def test_another_sha256_than_the_bytes_have(hub, gate, repo, xorb):
    cas = Cas(gate, repo)
    shard = bytearray(SHARD)
    assert cas.post(f"v1/xorbs/default/{NAME}", xorb).status == 200
    shard[192] ^= 1  # file, term, range, then the sha256
    answer = last_frame(cas.post("v2/shards", bytes(shard)))
    assert answer["type"] == "error" and not answer["retryable"] and "sha256" in answer["message"], answer
    assert cas.post("v1/shards", bytes(shard)).status == 403
    assert not requests(hub, "/shards", "/_cas/v1/xorbs/")


@pytest.mark.parametrize("at, reason", [(48, "other chunks"), (132, "other lengths"), (140, "does not have")])
def test_a_shard_that_contradicts_its_bytes(hub, gate, repo, xorb, at, reason):
    cas = Cas(gate, repo)
    shard = bytearray(SHARD)
    assert cas.post(f"v1/xorbs/default/{NAME}", xorb).status == 200
    shard[at] ^= 1
    answer = last_frame(cas.post("v2/shards", bytes(shard)))
    assert answer["type"] == "error" and reason in answer["message"], answer
    assert not requests(hub, "/shards")


def test_xorbs_that_are_damaged_or_something_else(hub, gate, repo, xorb, chunks):
    cas = Cas(gate, repo)
    changed = bytearray(xorb)
    changed[100_000] ^= 1
    version, scheme, length = bytearray(xorb), bytearray(xorb), bytearray(xorb)
    version[0], scheme[4], length[5] = 1, 3, length[5] ^ 1
    for body in (b"", xorb[:-3], xorb + b"\0", bytes(changed), bytes(version), bytes(scheme), bytes(length),
                 stored_xorb(chunks[:-1]), stored_xorb(chunks[::-1])):
        answer = cas.post(f"v1/xorbs/default/{NAME}", body)
        assert answer.status == 403, answer.text
    assert cas.post(f"v1/xorbs/default/{'ab' * 32}", xorb).status == 403
    assert cas.post("v1/xorbs/default/nothing", xorb).status == 400
    # None of them is there.
    assert last_frame(cas.post("v2/shards", SHARD))["type"] == "error"
    assert not requests(hub, "/_cas/v1/xorbs/")


def test_what_is_no_shard(gate, repo):
    cas = Cas(gate, repo)
    for body in (b"", b"nothing", SHARD[:-1], SHARD + b"x"):
        answer = last_frame(cas.post("v2/shards", body))
        assert answer["type"] == "error" and not answer["retryable"], answer
    assert cas.post("v1/shards", SHARD[:-1]).status == 403


def test_calls_that_would_pass_the_gate_by(gate, repo):
    cas = Cas(gate, repo)
    grant = json.dumps({"length": 5, "checksum": {"algo": "crc64nvme", "value": "1"}}).encode()
    assert cas.post(f"v1/xorb-grants/default/{NAME}", grant).status == 404
    assert cas.post(f"v1/xorb-commits/default/{NAME}/grant/1", b"").status == 404
    assert cas.get(f"v1/chunks/default/{NAME}").status == 404
    assert cas.get(f"v2/file-chunk-hashes/{NAME}").status == 404
    assert cas.get("simulation/xorbs").status == 404


def test_tokens_are_of_use_for_what_they_were_made_for(gate, repo, xorb):
    cas = Cas(gate, repo)
    assert gate.get(f"/api/models/{repo}/xet-read-token/main").status == 403  # it names no file
    for token, status in (("xet_0123", 401), (cas.token[:-4] + "AAAA", 401), ("", 401)):
        cas.token = token
        assert cas.post(f"v1/xorbs/default/{NAME}", xorb).status == status


def test_what_one_person_sent_another_cannot_build_on(gate, repo, xorb):
    cas = Cas(gate, repo)
    assert cas.post(f"v1/xorbs/default/{NAME}", xorb).status == 200
    token = json.loads(gate.get(f"/api/models/{repo}/xet-write-token/main", token="hf_mallory").body)
    cas.path, cas.token = token["casUrl"].removeprefix(gate.url), token["accessToken"]
    answer = last_frame(cas.post("v2/shards", SHARD))
    assert answer["type"] == "error" and "Run it again" in answer["message"], answer


def test_a_cas_that_fails(hub, gate, repo, xorb):
    cas = Cas(gate, repo)
    assert cas.post(f"v1/xorbs/default/{NAME}", xorb).status == 200
    hub.fault(role="hub", method="POST", path="/_cas/v2/shards", status=503)
    answer = last_frame(cas.post("v2/shards", SHARD))
    assert answer["type"] == "error" and answer["retryable"] and "503" in answer["message"], answer
    hub.reset()
    assert last_frame(cas.post("v2/shards", SHARD)) == {"type": "result"}


def test_strip_keeps_the_road_closed(hub, make_gate, tmp_path, repo):
    gate = make_gate(upstream=hub.url, config="xet: strip\n")
    run = Clients(gate.url, tmp_path / "home").upload_folder(repo, {"w.safetensors": HONEST["model.safetensors"]}, tmp_path / "up")
    assert not run.ok and not requests(hub, "/commit/", "/_cas/"), run.output
