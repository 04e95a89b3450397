"""Faults on every leg of an upload: a clean retry or a clean refusal. Never a committed reference without
bytes, never bytes without a verdict behind a reference."""
import json
import random
import socket
import time
import uuid

import pytest

from hub.samples import call, honest_items, large_pickle, pickle_of
from test_upload import batch, commit, create, inline, linked, put, sha, stored


def honest():
    return pickle_of(honest_items(random.randrange(200_000, 220_000)))


@pytest.fixture
def repo():
    return f"alice/{uuid.uuid4().hex[:10]}"


def send_half(gate, action, data):
    """A client that leaves in the middle of its PUT; returns its socket."""
    sock = socket.create_connection(("127.0.0.1", gate.port), timeout=30)
    path = action["href"].removeprefix(gate.url)
    sock.sendall(f"PUT {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data[:len(data) // 2])
    return sock


def spool_bytes(gate):
    return int(next(line for line in gate.admin("/metrics").text.splitlines() if line.startswith("hubgate_spool_bytes ")).split()[-1])


def wait_until(true):
    deadline = time.monotonic() + 60
    while not true() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert true()


def assert_nothing_came(hub, gate, repo, data):
    assert "actions" in batch(gate, repo, "upload", sha(data), len(data))
    answer = commit(gate, repo, linked("w.pkl", sha(data), len(data)))
    assert answer.status == 502 and "was not scanned" in answer.text
    assert stored(hub, repo, "w.pkl") is None


def assert_it_can_be_sent_again(hub, gate, repo, data):
    action = batch(gate, repo, "upload", sha(data), len(data))["actions"]["upload"]
    assert put(gate, action, data).status == 200
    assert commit(gate, repo, linked("w.pkl", sha(data), len(data))).status == 200
    assert stored(hub, repo, "w.pkl") == data


def test_a_client_that_leaves(hub, fresh_gate, repo):
    data = honest()
    create(fresh_gate, repo)
    for _ in range(3):
        send_half(fresh_gate, batch(fresh_gate, repo, "upload", sha(data), len(data))["actions"]["upload"], data).close()
    wait_until(lambda: spool_bytes(fresh_gate) == 0)
    assert_nothing_came(hub, fresh_gate, repo, data)
    assert_it_can_be_sent_again(hub, fresh_gate, repo, data)


@pytest.mark.parametrize("how", [9, 15])
def test_a_gate_that_ends(hub, fresh_gate, repo, how):
    data = honest()
    create(fresh_gate, repo)
    sock = send_half(fresh_gate, batch(fresh_gate, repo, "upload", sha(data), len(data))["actions"]["upload"], data)
    if how == 15:
        sock.close()
    fresh_gate.stop(how)
    sock.close()
    fresh_gate.start()
    assert_nothing_came(hub, fresh_gate, repo, data)
    assert_it_can_be_sent_again(hub, fresh_gate, repo, data)


@pytest.mark.parametrize("ends", ["client", "gate killed", "gate ended"])
def test_a_commit_that_breaks_off(hub, fresh_gate, repo, ends):
    """Half of a commit is no commit, however it ends; the whole one is taken afterwards."""
    data = random.randbytes(1 << 20)
    create(fresh_gate, repo)
    line = json.dumps({"key": "header", "value": {"summary": "x", "description": ""}}) + "\n" + json.dumps(inline("data.bin", data))
    sock = socket.create_connection(("127.0.0.1", fresh_gate.port), timeout=30)
    sock.sendall(f"POST /api/models/{repo}/commit/main HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer hf_alice\r\n"
                 f"Content-Type: application/x-ndjson\r\nContent-Length: {len(line)}\r\n\r\n{line[:len(line) // 2]}".encode())
    if ends == "gate killed":
        fresh_gate.stop(9)
    sock.close()
    if ends == "gate ended":
        fresh_gate.stop(15)
    if ends != "client":
        fresh_gate.start()
    wait_until(lambda: spool_bytes(fresh_gate) == 0)
    assert stored(hub, repo, "data.bin") is None
    text = random.randbytes(1000).hex().encode()
    answer = commit(fresh_gate, repo, inline("notes.txt", text))
    assert answer.status == 200, answer.text
    assert stored(hub, repo, "notes.txt") == text and stored(hub, repo, "data.bin") is None


def test_a_gate_that_ends_between_put_and_commit(hub, fresh_gate, repo):
    data = honest()
    create(fresh_gate, repo)
    assert put(fresh_gate, batch(fresh_gate, repo, "upload", sha(data), len(data))["actions"]["upload"], data).status == 200
    fresh_gate.stop(9)
    fresh_gate.start()
    assert commit(fresh_gate, repo, linked("w.pkl", sha(data), len(data))).status == 200
    assert stored(hub, repo, "w.pkl") == data


@pytest.mark.parametrize("fault", [{"status": 500}, {"status": 503}])
def test_storage_that_fails(hub, fresh_gate, repo, fault):
    """It may have kept the bytes before it failed: then nothing is sent again, for they are judged."""
    data = honest()
    create(fresh_gate, repo)
    action = batch(fresh_gate, repo, "upload", sha(data), len(data))["actions"]["upload"]
    hub.fault(role="cdn", method="PUT", **fault)
    answer = put(fresh_gate, action, data)
    assert answer.status in (502, 503) and "hubgate: " in answer.text
    assert stored(hub, repo, "w.pkl") is None
    hub.reset()
    again = batch(fresh_gate, repo, "upload", sha(data), len(data)).get("actions")
    assert not again or put(fresh_gate, again["upload"], data).status == 200
    assert commit(fresh_gate, repo, linked("w.pkl", sha(data), len(data))).status == 200
    assert stored(hub, repo, "w.pkl") == data


def test_a_hub_that_fails_at_the_commit(hub, fresh_gate, repo):
    data = honest()
    create(fresh_gate, repo)
    assert put(fresh_gate, batch(fresh_gate, repo, "upload", sha(data), len(data))["actions"]["upload"], data).status == 200
    hub.fault(role="hub", method="POST", path=f"/api/models/{repo}/commit/main", status=503, times=1)
    assert commit(fresh_gate, repo, linked("w.pkl", sha(data), len(data))).status in (502, 503)
    assert commit(fresh_gate, repo, linked("w.pkl", sha(data), len(data))).status == 200


def test_a_spool_that_is_full(hub, make_gate, repo):
    gate = make_gate(config="limits:\n  spool: 2MiB\n")
    poison = large_pickle(6, call("os", "system", f"echo hubgate-marker {repo}"))
    create(gate, repo)
    action = batch(gate, repo, "upload", sha(poison), len(poison))["actions"]["upload"]
    try:
        assert put(gate, action, poison).status == 429
    except OSError:
        pass  # it hung up before all was sent
    wait_until(lambda: spool_bytes(gate) == 0)
    assert_nothing_came(hub, gate, repo, poison)
    small = pickle_of(honest_items(random.randrange(1_000, 9_000)))
    assert_it_can_be_sent_again(hub, gate, repo, small)
