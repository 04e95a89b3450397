"""Xet under attack and in trouble: files made of other files' chunks, a CAS that falls silent or breaks off, tokens that
expire, clients that leave, a gate that is killed. Never a committed file without its bytes, never bytes without a verdict."""
import base64
import concurrent.futures
import hashlib
import json
import socket
import struct
import time

import pytest

from clients import Clients
from hub.samples import call, large_pickle
from test_upload import commit, linked, stored
from test_upload_faults import spool_bytes, wait_until
from test_xet_push import (NAME, SHARD, TERMINATE, Cas, chunks, clients, create, floats, gate, hub, last_frame, noise,  # noqa: F401
                           repo, requests, xet_hub, xorb)

IMPATIENT = TERMINATE + "limits:\n  stall: 1s\n"
CHUNK = 131_072  # where a file of one letter is cut: its hash never says so before


def chunks_of_others() -> tuple[dict[str, bytes], bytes]:
    """Three files, each harmless, and one that consists of a chunk of each. The name of the function that it calls lies on
    the border of two chunks."""
    head, cut, rest = b"\x80\x02X", b"0cos\nsys", b"tem\n(S'echo hubgate-marker'\ntR."
    length = 2 * CHUNK - len(head) - 4 - len(cut)
    evil = head + struct.pack("<I", length) + b"a" * length + cut + rest
    assert evil[2 * CHUNK:] == rest
    first, second = evil[:CHUNK], evil[CHUNK:2 * CHUNK]
    others = {"first.bin": first + b"a" * (length - CHUNK + len(head) + 4) + b".",
              "second.bin": b"b" * CHUNK + second, "third.bin": b"b" * CHUNK + rest}
    return others, evil


def test_a_push_of_clean_chunks_of_others(hub, gate, clients, repo, tmp_path):  # noqa: F811
    others, evil = chunks_of_others()
    for name, data in others.items():
        run = clients.upload_folder(repo, {name: data}, tmp_path / name)
        assert run.ok, run.output
        assert stored(hub, repo, name) == data
    wait_until(lambda: spool_bytes(gate) > 0)
    before = spool_bytes(gate)
    hub.reset()
    run = clients.upload_folder(repo, {"evil.bin": evil}, tmp_path / "evil")
    assert not run.ok and "hubgate: " in run.output and "os.system" in run.output, run.output
    assert spool_bytes(gate) == before, "the client sent chunks that were here already"
    assert not requests(hub, "/_cas/v1/xorbs/", "/shards", "/commit/")
    assert stored(hub, repo, "evil.bin") is None


def test_a_pull_of_clean_chunks_of_others(hub, make_gate, make_clients, repo, tmp_path):  # noqa: F811
    """It came to the hub by another way."""
    others, evil = chunks_of_others()
    around = Clients(hub.url, tmp_path / "around")
    for name, data in {**others, "evil.bin": evil}.items():
        run = around.upload_folder(repo, {name: data}, tmp_path / "up" / name)
        assert run.ok, run.output
    assert len(requests(hub, "/_cas/v1/xorbs/")) <= len(others), "the CAS has chunks of its own for the fourth file"
    gate = make_gate(upstream=hub.url, config=TERMINATE)  # noqa: F811
    clients = make_clients(gate)  # noqa: F811
    for name, data in others.items():
        run = clients.hub_download(repo, name, tmp_path / "out")
        assert run.ok, run.output
        assert (tmp_path / "out").read_bytes() == data
    run = clients.hub_download(repo, "evil.bin", tmp_path / "evil")
    assert not run.ok and not (tmp_path / "evil").exists() and "os.system" in run.output, run.output


# Pushes by hand: each is a person of its own


@pytest.fixture
def impatient(hub, make_gate):  # noqa: F811
    return make_gate(upstream=hub.url, config=IMPATIENT)


def sha256_of_shard() -> str:
    return hashlib.sha256(floats()).hexdigest()


def assert_it_can_be_sent_again(hub, cas, repo, xorb):  # noqa: F811
    hub.reset()
    assert cas.post(f"v1/xorbs/default/{NAME}", xorb).status == 200
    answer = last_frame(cas.post("v2/shards", SHARD))
    assert answer == {"type": "result"}, answer
    data = floats()
    assert commit(cas.gate, repo, linked("w.bin", sha256_of_shard(), len(data))).status == 200
    assert stored(hub, repo, "w.bin") == data


@pytest.mark.parametrize("path", ["/_cas/v1/xorbs/*", "/_cas/v2/shards"])
@pytest.mark.parametrize("fault", [{"delay": 4}, {"cut_after": 0}, {"cut_after": 3, "reset": True}],
                         ids=["silent", "breaks off", "resets"])
def test_a_cas_in_trouble_during_a_push(hub, impatient, repo, xorb, path, fault):  # noqa: F811
    cas = Cas(impatient, repo)
    assert cas.post(f"v1/xorbs/default/{NAME}", xorb).status == 200
    hub.fault(role="hub", method="POST", path=path, **fault)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        answer = last_frame(pool.submit(cas.post, "v2/shards", SHARD).result(timeout=50))
    assert answer["type"] == "error" and answer["retryable"] and answer["message"].startswith("hubgate: "), answer
    assert not requests(hub, "/commit/")
    assert_it_can_be_sent_again(hub, cas, repo, xorb)


@pytest.mark.parametrize("role, path, fault", [("hub", "/_cas/v2/reconstructions/*", {"delay": 4}),
                                               ("cdn", "/_cas/v1/fetch_term", {"stall_after": 30})])
def test_a_cas_that_stalls_during_a_pull(hub, impatient, repo, tmp_path, role, path, fault):  # noqa: F811
    """For good: it is asked again, and then the person is told."""
    data = noise(repo, 200_000)
    around = Clients(hub.url, tmp_path / "around")
    assert around.upload_folder(repo, {"w.safetensors": data}, tmp_path / "up").ok
    head = impatient.head(f"/{repo}/resolve/main/w.safetensors", headers={"User-Agent": "unknown/None; hf_hub/2.4.0"})
    route = head.headers["X-Xet-Refresh-Route"].removeprefix(impatient.url)
    hub.fault(role=role, path=path, **fault)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        answer = pool.submit(impatient.get, route).result(timeout=50)
    assert answer.status == 502 and "hubgate: " in answer.text, answer.text
    hub.reset()
    assert impatient.get(route).status == 200
    run = Clients(impatient.url, tmp_path / "home").hub_download(repo, "w.safetensors", tmp_path / "out")
    assert run.ok and (tmp_path / "out").read_bytes() == data, run.output


def short_lived(hub, repo, token, seconds):  # noqa: F811
    """The hub's next answers name this token, and that it is good for so long."""
    life = {"casUrl": f"{hub.url}/_cas", "accessToken": token, "exp": int(time.time()) + seconds}
    hub.fault(path="*-token/*", replace_b64=base64.b64encode(json.dumps(life).encode()).decode(),
              drop_headers=["X-Xet-Access-Token", "X-Xet-Token-Expiration"], times=1)
    return life["exp"]


def test_a_write_token_expires(hub, gate, repo, xorb):  # noqa: F811
    create(gate, repo)
    until = short_lived(hub, repo, "xet_0", 2)
    cas = Cas(gate, repo + "x")
    while time.time() <= until:
        time.sleep(0.1)
    for where, body in ((f"v1/xorbs/default/{NAME}", xorb), ("v2/shards", SHARD), ("v1/shards", SHARD)):
        answer = cas.post(where, body)
        assert answer.status == 401 and "expired" in answer.text, answer.text
    assert not requests(hub, "/_cas/")


def test_a_client_gets_itself_another_write_token(hub, clients, repo, tmp_path):  # noqa: F811
    """hf_xet looks at the time that is left, and comes again."""
    short_lived(hub, repo, "xet_0", 5)
    run = clients.upload_folder(repo, {"w.safetensors": (data := noise(repo, 100_000))}, tmp_path / "up")
    assert run.ok, run.output
    assert len(requests(hub, "xet-write-token")) > 1 and stored(hub, repo, "w.safetensors") == data


def test_a_token_expires_while_the_gate_judges(hub, gate, repo, xorb):  # noqa: F811
    """The CAS refuses it then. The client is to come again, with another one."""
    create(gate, repo)
    hub.fault(role="hub", method="POST", path="/_cas/v1/xorbs/*", delay=4)
    short_lived(hub, repo, "xet_unknown", 3)
    cas = Cas(gate, repo + "x")
    assert cas.post(f"v1/xorbs/default/{NAME}", xorb).status == 200
    answer = last_frame(cas.post("v2/shards", SHARD))
    assert answer["type"] == "error" and answer["retryable"] and "expired" in answer["message"], answer
    assert_it_can_be_sent_again(hub, Cas(gate, repo + "y"), repo + "y", xorb)


def send(gate, cas, where, body, most):  # noqa: F811
    """At most so many bytes of the body; returns the socket."""
    sock = socket.create_connection(("127.0.0.1", gate.port), timeout=30)
    head = f"POST {cas.path}/{where} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {cas.token}\r\nContent-Length: {len(body)}\r\n\r\n"
    sock.sendall(head.encode() + body[:most])
    return sock


def test_clients_that_leave(hub, make_gate, repo, xorb):  # noqa: F811
    gate = make_gate(upstream=hub.url, config=TERMINATE)  # noqa: F811
    cas = Cas(gate, repo)
    for where, body in ((f"v1/xorbs/default/{NAME}", xorb), ("v2/shards", SHARD)):
        sock = send(gate, cas, where, body, len(body) // 2)
        if where.startswith("v1"):
            wait_until(lambda: spool_bytes(gate) > 0)
        sock.close()
        wait_until(lambda: spool_bytes(gate) == 0)
    assert not requests(hub, "/_cas/")
    answer = last_frame(cas.post("v2/shards", SHARD))
    assert answer["type"] == "error" and "Run it again" in answer["message"], answer
    assert commit(gate, repo, linked("w.bin", hashlib.sha256(repo.encode()).hexdigest(), 5)).status == 502
    assert_it_can_be_sent_again(hub, Cas(gate, repo + "y"), repo + "y", xorb)


def test_a_client_that_leaves_while_its_bytes_go_on(hub, make_gate, repo, xorb):  # noqa: F811
    """They were judged; without a commit nobody sees them."""
    gate = make_gate(upstream=hub.url, config=TERMINATE)  # noqa: F811
    cas = Cas(gate, repo)
    assert cas.post(f"v1/xorbs/default/{NAME}", xorb).status == 200
    hub.fault(role="hub", method="POST", path="/_cas/v1/xorbs/*", delay=2)
    sock = send(gate, cas, "v2/shards", SHARD, len(SHARD))
    wait_until(lambda: requests(hub, "/_cas/v1/xorbs/"))
    sock.close()
    assert gate.admin("/readyz").status == 200 and stored(hub, repo, "w.bin") is None
    assert_it_can_be_sent_again(hub, cas, repo, xorb)


@pytest.mark.parametrize("when", ["in a xorb", "before the shard", "before the commit"])
def test_a_gate_that_is_killed(hub, make_gate, repo, xorb, when):  # noqa: F811
    gate = make_gate(upstream=hub.url, config=TERMINATE)  # noqa: F811
    cas = Cas(gate, repo)
    if when == "in a xorb":
        sock = send(gate, cas, f"v1/xorbs/default/{NAME}", xorb, len(xorb) // 2)
        wait_until(lambda: spool_bytes(gate) > 0)
    else:
        assert cas.post(f"v1/xorbs/default/{NAME}", xorb).status == 200
    if when == "before the commit":
        assert last_frame(cas.post("v2/shards", SHARD)) == {"type": "result"}
    gate.stop(9)
    gate.start()
    if when == "in a xorb":
        sock.close()
    if when == "before the commit":  # its verdict is in the store
        assert commit(gate, repo, linked("w.bin", sha256_of_shard(), len(floats()))).status == 200
        assert stored(hub, repo, "w.bin") == floats()
        return
    answer = last_frame(cas.post("v2/shards", SHARD))
    assert answer["type"] == "error" and "Run it again" in answer["message"], answer
    assert not requests(hub, "/_cas/", "/commit/")
    assert_it_can_be_sent_again(hub, cas, repo, xorb)


QUARANTINE = """
version: 1
name: kept-aside
rules:
  - {id: malicious, match: {severity: malicious}, action: quarantine}
  - {id: rest, action: allow}
"""


def test_refused_bytes_are_kept_for_review(hub, make_gate, make_clients, repo, tmp_path):  # noqa: F811
    gate = make_gate(upstream=hub.url, config=TERMINATE, policy=QUARANTINE)  # noqa: F811
    data = large_pickle(2, call("os", "system", f"echo hubgate-marker {repo}"))
    run = make_clients(gate).upload_folder(repo, {"w.bin": data}, tmp_path / "up")
    assert not run.ok and "os.system" in run.output, run.output
    oid = hashlib.sha256(data).hexdigest()
    assert (gate.data / "quarantine" / oid).read_bytes() == data
    kept = gate.run("quarantine", "list")
    assert oid[:12] in kept.stdout, kept.stdout + kept.stderr
