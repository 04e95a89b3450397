"""`hubgate cache` and `hubgate warm`."""
import hashlib
import json
import os

import pytest

from clients import tree_of
from gate import hubgate
from hub.client import RunningHub
from test_cache import CACHE, OFFLINE, cached, fetched, fill, objects, wait_for


@pytest.fixture
def gate(make_gate):
    return make_gate(config=CACHE)


def warm(gate, *arguments, token="hf_alice"):
    environment = {name: value for name, value in os.environ.items() if name not in ("HF_TOKEN", "HF_ENDPOINT", "SSL_CERT_FILE")}
    if token:
        environment["HF_TOKEN"] = token
    return hubgate("warm", *arguments, "--gate", gate.url, env=environment)


def stat(gate):
    done = gate.run("cache", "stat", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_stat_verify_prune_and_pin(gate, samples):
    data = fill(gate, samples)
    other = fill(gate, samples, "demo/clean", "model.safetensors")
    small = fill(gate, samples, "demo/clean", "sub/notes.txt")
    before = stat(gate)
    assert before["in_use"] and before["objects"] == len(objects(gate)) and before["bytes"] >= len(data) + len(other)
    text = gate.run("cache", "stat")
    assert "a gate uses it" in text.stdout and "MiB" in text.stdout
    assert gate.run("cache", "verify").returncode == 0

    pinned = gate.run("cache", "pin", "demo/clean@main")
    assert pinned.returncode == 0 and "2 pinned" in pinned.stdout, pinned
    assert gate.run("cache", "pin", "demo/none").returncode == 1
    assert gate.run("cache", "prune", "--to", "1MiB").returncode == 0
    assert not cached(gate, data) and cached(gate, other) and cached(gate, small)
    assert gate.run("cache", "pin", "--remove", hashlib.sha256(other).hexdigest()).returncode == 0
    assert gate.run("cache", "prune", "--all").returncode == 0
    assert cached(gate, small) and not cached(gate, other)

    file = objects(gate)[0]
    file.write_bytes(b"X" + file.read_bytes()[1:])
    told = gate.run("cache", "verify", "--keep")
    assert told.returncode == 1 and file.name in told.stdout and file.exists()
    assert gate.run("cache", "verify").returncode == 1 and not file.exists()
    assert gate.run("cache", "verify").returncode == 0
    assert gate.run("cache", "prune", hashlib.sha256(small).hexdigest()[:10]).returncode == 0
    assert stat(gate)["objects"] == 0
    # The running gate sees what was done beside it.
    assert gate.get("/demo/large/resolve/main/model.safetensors").body == data
    wait_for(lambda: cached(gate, data))


@pytest.mark.parametrize("arguments", [["prune"], ["prune", "--to", "much"], ["prune", "--older", "long"], ["pin"], ["nonsense"], []])
def test_bad_flags(gate, arguments):
    done = gate.run("cache", *arguments)
    assert done.returncode == 2 and done.stderr.strip(), done


def test_no_cache_there(tmp_path):
    done = hubgate("cache", "stat", "--data", tmp_path)
    assert done.returncode == 3 and "no cache here" in done.stderr, done.stderr


def test_warm(gate, make_clients, hub, samples, tmp_path):
    done = warm(gate, "demo/clean@main")
    assert done.returncode == 0, done.stderr
    assert f"{len(samples['demo/clean']) + 1} files passed, 0 refused" in done.stdout
    wait_for(lambda: all(cached(gate, data) for data in samples["demo/clean"].values()))
    hub.reset()
    run = make_clients(gate).python(f"""
        import huggingface_hub
        huggingface_hub.snapshot_download("demo/clean", local_dir={str(tmp_path / "out")!r})
    """)
    assert run.ok, run.output
    assert {name: tree_of(tmp_path / "out")[name] for name in samples["demo/clean"]} == samples["demo/clean"]
    assert fetched(hub) < 1000


def test_warm_selects(gate, samples):
    done = warm(gate, "demo/clean", "--include", "*.json", "--exclude", "tokenizer*", "--jobs", "2", "--quiet")
    assert done.returncode == 0 and "1 files passed" in done.stdout and not done.stderr, (done.stdout, done.stderr)
    assert warm(gate, "demo/clean", "--include", "*.none").returncode == 1


def test_warm_says_what_is_refused(gate, samples):
    done = warm(gate, "demo/poisoned-pickle")
    assert done.returncode == 1 and "1 refused" in done.stdout, (done.stdout, done.stderr)
    assert "model.pkl: refused" in done.stderr and "os.system" in done.stderr, done.stderr
    assert not cached(gate, samples["demo/poisoned-pickle"]["model.pkl"])


def test_warm_fails_readably(gate, hub):
    assert warm(gate, "demo/absent").returncode == 3
    done = warm(gate, "demo/private", token=None)
    assert done.returncode == 3 and "401" in done.stderr, done.stderr
    assert warm(gate, "demo/clean", "--jobs", "0").returncode == 2
    assert hubgate("warm", "demo/clean", "--gate", "nonsense").returncode == 2


def test_warmed_without_a_token_it_is_there_for_everybody(make_gate, make_clients, samples, tmp_path):
    hub = RunningHub(tmp_path / "root", "--page-size", "20")
    try:
        gate = make_gate(upstream=hub.url, config=OFFLINE)
        done = warm(gate, "demo/clean@main", "--anonymous")
        assert done.returncode == 0, done.stderr
        wait_for(lambda: all(cached(gate, data) for data in samples["demo/clean"].values()))
    finally:
        hub.stop()
    run = make_clients(gate, HF_TOKEN="hf_bob").python(f"""
        import shutil, huggingface_hub
        huggingface_hub.snapshot_download("demo/clean", local_dir={str(tmp_path / "out")!r})
        shutil.copy(huggingface_hub.hf_hub_download("demo/clean", "model.safetensors"), {str(tmp_path / "one")!r})
    """)
    assert run.ok, run.output
    out = tree_of(tmp_path / "out")
    assert {name: out[name] for name in samples["demo/clean"]} == samples["demo/clean"]
    assert (tmp_path / "one").read_bytes() == samples["demo/clean"]["model.safetensors"]
