"""The pull-through cache: bytes from the disk instead of the hub, and only those that pass now."""
import concurrent.futures
import hashlib
import os
import re
import signal
import time

import pytest

from clients import tree_of
from gate import free_port, hubgate
from hub.client import RunningHub

CACHE = "cache: {size: 1GiB}\n"
OFFLINE = "cache: {size: 1GiB, offline: true}\n"
LARGE = "/demo/large/resolve/main/model.safetensors"
PYTHON_AGENT = {"User-Agent": "unknown/None; hf_hub/2.4.0; python/3.11.7"}


def metric(gate, name):
    found = re.search(rf"^hubgate_{name} (\d+)$", gate.admin("/metrics").text, re.MULTILINE)
    assert found, name
    return int(found[1])


def wait_for(what, seconds=60):
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def cached(gate, data):
    name = hashlib.sha256(data).hexdigest()
    file = gate.data / "cache/objects" / name[:2] / name
    return file.exists() and file.read_bytes() == data


def objects(gate):
    return [path for path in (gate.data / "cache/objects").rglob("*") if path.is_file()]


def fetched(hub):
    """Body bytes of objects that the hub and its CDN have sent."""
    return sum(record["sent"] for record in hub.log() if record["method"] == "GET" and (record["role"] == "cdn" or "/api/" not in record["path"]))


@pytest.fixture
def gate(make_gate):
    return make_gate(config=CACHE)


def fill(gate, samples, repo="demo/large", path="model.safetensors", **options):
    data = samples[repo][path]
    there, kept = cached(gate, data), metric(gate, "cache_kept_total")
    assert gate.get(f"/{repo}/resolve/main/{path}", timeout=120, **options).body == data
    wait_for(lambda: cached(gate, data) and (there or metric(gate, "cache_kept_total") > kept))  # the file comes before its entry
    return data


def test_the_second_pull_comes_from_the_disk(gate, hub, samples):
    data = fill(gate, samples)
    hub.reset()
    answer = gate.get(LARGE)
    assert answer.body == data and answer.headers["X-Hubgate-Verdict"] == "clean"
    assert fetched(hub) < 100_000, "the hub was asked, and nothing was fetched"
    assert [record["method"] for record in hub.log() if record["path"].endswith("model.safetensors")] == ["HEAD"]
    assert metric(gate, "cache_hits_total") == 1 and metric(gate, "cache_sent_bytes_total") == len(data)


@pytest.mark.parametrize("wanted,first,last", [
    ("bytes=0-99", 0, 100), ("bytes=1048570-1048590", 1048570, 1048591), ("bytes=-10", -10, None),
    ("bytes=3000000-9000000", 3000000, 9000001), ("bytes=25165000-", 25165000, None)])
def test_ranges(gate, hub, samples, wanted, first, last):
    data = fill(gate, samples)
    hub.reset()
    answer = gate.get(LARGE, headers={"Range": wanted})
    assert answer.status == 206 and answer.body == data[first:last]
    assert fetched(hub) < 100_000


def test_curl_goes_on_where_it_stopped(gate, make_clients, hub, samples, tmp_path):
    data = fill(gate, samples)
    hub.reset()
    (tmp_path / "out").write_bytes(data[:7_654_321])
    run = make_clients(gate).curl(LARGE[1:], tmp_path / "out", "-C", "-")
    assert run.ok and "status 206" in run.output, run.output
    assert (tmp_path / "out").read_bytes() == data and fetched(hub) < 100_000


def test_python_and_javascript(gate, make_clients, hub, samples, tmp_path):
    clients = make_clients(gate)
    script = """
        import huggingface_hub
        huggingface_hub.snapshot_download("demo/clean", local_dir={!r})
    """
    assert clients.python(script.format(str(tmp_path / "one"))).ok
    wait_for(lambda: all(cached(gate, data) for data in samples["demo/clean"].values()))
    hub.reset()
    run = make_clients(gate).python(script.format(str(tmp_path / "two")))
    assert run.ok, run.output
    assert tree_of(tmp_path / "two") == tree_of(tmp_path / "one")
    assert fetched(hub) < 1000
    run = clients.js_file("demo/clean", "model.safetensors", tmp_path / "js")
    assert run.ok and (tmp_path / "js").read_bytes() == samples["demo/clean"]["model.safetensors"], run.output
    assert fetched(hub) < 1000


def test_git_lfs(gate, make_clients, hub, samples, tmp_path):
    data = fill(gate, samples)
    hub.reset()
    run = make_clients(gate).git_clone("demo/large", tmp_path / "clone")
    assert run.ok, run.output
    assert (tmp_path / "clone/model.safetensors").read_bytes() == data
    assert not [record for record in hub.log() if record["role"] == "cdn" and hashlib.sha256(data).hexdigest() in record["path"]]


def test_the_hub_still_decides_who_may_have_it(gate, samples):
    """What is here is served to whom the hub gives it, request by request."""
    path = "/demo/gated/resolve/main/model.safetensors"
    data = fill(gate, samples | {"demo/gated": {"model.safetensors": gate.get(path).body}}, "demo/gated")
    assert gate.get(path).body == data
    assert gate.get(path, token="hf_mallory").status == 403
    assert gate.get(path, token=None).status == 401
    assert gate.head(path, token="hf_mallory").status == 403


def test_a_moved_revision_is_seen(make_gate, samples, tmp_path):
    from hub.store import Store
    hub = RunningHub(tmp_path / "root")
    try:
        gate = make_gate(upstream=hub.url, config=CACHE)
        path = "/demo/clean/resolve/main/sub/notes.txt"
        assert gate.get(path).body == samples["demo/clean"]["sub/notes.txt"]
        wait_for(lambda: cached(gate, samples["demo/clean"]["sub/notes.txt"]))
        store = Store(tmp_path / "root")
        store.commit(store.repository("models", "demo/clean"), {"sub/notes.txt": b"Something else.\n"})
        assert gate.get(path).body == b"Something else.\n"
    finally:
        hub.stop()


def test_poison_never_gets_in(gate, samples):
    for repo, path in [("demo/poisoned-pickle", "model.pkl"), ("demo/poisoned-torch", "pytorch_model.bin"), ("demo/poisoned-late", "model.pkl"),
                       ("demo/hidden-program", "model.safetensors")]:
        url = f"/{repo}/resolve/main/{path}"
        gate.get(url)
        assert gate.get(url).status == 403
        assert not cached(gate, samples[repo][path])
    fill(gate, samples, "demo/clean", "vocabulary.pkl")
    poisoned = {hashlib.sha256(data).hexdigest() for repo, files in samples.items() if "poisoned" in repo for data in files.values()}
    honest = {hashlib.sha256(data).hexdigest() for repo, files in samples.items() if "poisoned" not in repo for data in files.values()}
    assert not {path.name for path in objects(gate)} & (poisoned - honest)
    assert not list((gate.data / "cache/tmp").iterdir())


def reload(gate):
    before = gate.log.read_text().count("reloaded")
    gate.process.send_signal(signal.SIGHUP)
    wait_for(lambda: gate.log.read_text().count("reloaded") > before)


def test_new_rules_withdraw_what_is_there(make_gate, hub, samples, tmp_path):
    policy = "version: 1\nname: own\nyara: [own.yar]\nrules:\n  - {id: ours, match: {rules: \"yara:own.*\"}, action: block, reason: ours}\n  - {id: rest, action: allow}\n"
    rule = "rule Own { meta: severity = \"malicious\" strings: $a = { %s } condition: $a }"
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/policy.yaml").write_text(policy)
    (tmp_path / "rules/own.yar").write_text(rule % ("00" * 40))
    gate = make_gate("--policy", str(tmp_path / "rules/policy.yaml"), config=CACHE)
    data = fill(gate, samples)
    deep = data[20_000_000:20_000_016]
    (tmp_path / "rules/own.yar").write_text(rule % deep.hex())
    reload(gate)
    hub.reset()
    first = gate.get(LARGE)
    assert first.status == 403 or (not first.complete and first.body == b"")
    second = gate.get(LARGE)
    assert second.status == 403 and "yara:own.Own" in second.everything
    assert [record for record in hub.log() if record["role"] == "cdn" and record["sent"] > 100_000] == [], "it was scanned anew from the disk"
    wait_for(lambda: not cached(gate, data))
    assert metric(gate, "cache_withdrawn_total") == 1


def test_another_policy_and_a_revoked_waiver_withdraw(make_gate, samples):
    policy = "version: 1\nname: own\nrules:\n{}  - {{id: rest, action: allow}}\n"
    gate = make_gate(config=CACHE, policy=policy.format(""))
    path = "/demo/unknown-class/resolve/main/model.pkl"
    data = fill(gate, samples, "demo/unknown-class", "model.pkl")
    (gate.folder / "policy.yaml").write_text(policy.format("  - {id: private, match: {class: unknown-class}, action: block}\n"))
    reload(gate)
    refused = gate.get(path)
    assert refused.status == 403
    assert not cached(gate, data)
    sha256 = hashlib.sha256(data).hexdigest()
    added = gate.run("waiver", "add", sha256, "--rule", "*", "--reason", "known", "--expires", "1d")
    assert added.returncode == 0, added.stderr
    assert gate.get(path).body == data
    assert gate.get(path).body == data
    wait_for(lambda: cached(gate, data))
    number = re.search(r"\d+", gate.run("waiver", "list").stdout.split("\n", 1)[1])[0]
    revoked = gate.run("waiver", "revoke", number)
    assert revoked.returncode == 0, revoked.stderr
    assert gate.get(path).status == 403
    assert not cached(gate, data)


def test_killed_while_it_fills(gate, hub, samples):
    hub.fault(role="cdn", rate=6_000_000)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        running = pool.submit(gate.get, LARGE)
        wait_for(lambda: any(path.stat().st_size for path in (gate.data / "cache/tmp").iterdir()))
        gate.stop(signal.SIGKILL)
        try:
            assert not running.result().complete
        except OSError:
            pass
    hub.reset()
    assert objects(gate) == []
    gate.start()
    assert not list((gate.data / "cache/tmp").iterdir())
    fill(gate, samples)


def test_survives_a_restart(gate, hub, samples):
    data = fill(gate, samples)
    gate.stop()
    gate.start()
    hub.reset()
    assert gate.get(LARGE).body == data
    assert fetched(hub) < 100_000


def test_two_gates_share_no_folder(gate, hub, tmp_path):
    second = hubgate("serve", "--listen", f"127.0.0.1:{free_port()}", "--upstream", hub.url, "--tls", "off", "--data", tmp_path / "second",
                     "--config", write(tmp_path / "second.yaml", f"cache: {{path: {gate.data / 'cache'}}}\n"))
    assert second.returncode == 3 and "another gate" in second.stderr, second.stderr


def write(path, text):
    path.write_text(text)
    return path


def test_the_oldest_make_room(make_gate, hub, samples):
    gate = make_gate(config="cache: {size: 32MiB}\n")
    data = fill(gate, samples)
    other = fill(gate, samples, path="honest.pkl")
    assert not cached(gate, data), "24 and 12 MiB do not fit into 32"
    assert metric(gate, "cache_evicted_total") == 1 and metric(gate, "cache_bytes") <= 32 << 20
    # Judged, not here: fetched again, checked, and kept once more.
    assert gate.get(LARGE).body == data
    wait_for(lambda: cached(gate, data))
    assert not cached(gate, other)


def test_a_damaged_copy_is_mended(gate, hub, samples):
    data = fill(gate, samples)
    file = objects(gate)[[path.stat().st_size for path in objects(gate)].index(len(data))]
    with file.open("r+b") as out:
        out.seek(9_000_000)
        out.write(bytes([data[9_000_000] ^ 0xFF]))
    assert gate.get(LARGE).body == data, "the blocks before from the disk, the others from the hub"
    assert metric(gate, "cache_damaged_total") == 1
    assert gate.get(LARGE).body == data
    wait_for(lambda: cached(gate, data))


def test_damage_shows_after_it_was_served_well(gate, hub, samples):
    """Pieces that were compared once are compared by their tags from then on; ranges, too."""
    data = fill(gate, samples)
    for _ in range(2):
        assert gate.get(LARGE).body == data
    file = objects(gate)[[path.stat().st_size for path in objects(gate)].index(len(data))]
    before = file.stat()
    with file.open("r+b") as out:
        out.seek(9_000_000)
        out.write(bytes([data[9_000_000] ^ 0x01]))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    part = gate.get(LARGE, headers={"Range": "bytes=3000000-3999999"})
    assert part.status == 206 and part.body == data[3_000_000:4_000_000]
    assert metric(gate, "cache_damaged_total") == 0
    part = gate.get(LARGE, headers={"Range": "bytes=8999999-9000001"})
    assert part.status == 206 and part.body == data[8_999_999:9_000_002]
    assert metric(gate, "cache_damaged_total") == 1
    assert gate.get(LARGE).body == data


def test_no_room_on_the_disk_is_no_trouble(gate, samples):
    """A folder that can't be written stands for a full disk: the transfer does not mind."""
    (gate.data / "cache/tmp").rmdir()
    (gate.data / "cache/tmp").write_text("no folder")
    assert gate.get(LARGE).body == samples["demo/large"]["model.safetensors"]
    wait_for(lambda: metric(gate, "cache_given_up_total") == 1)
    assert objects(gate) == []


def test_offline(make_gate, make_clients, samples, tmp_path):
    hub = RunningHub(tmp_path / "root", "--page-size", "20")
    try:
        gate = make_gate(upstream=hub.url, config=OFFLINE)
        script = """
            import huggingface_hub
            huggingface_hub.snapshot_download({!r}, local_dir={!r})
        """
        for repo in ("demo/clean", "demo/many"):
            assert make_clients(gate).python(script.format(repo, str(tmp_path / "online" / repo))).ok
        missing = gate.head("/demo/clean/resolve/main/adapter_config.json")
        assert missing.status == 404
        gated = gate.get("/demo/gated/resolve/main/model.safetensors")
        assert gated.status == 200
        wait_for(lambda: all(cached(gate, data) for data in samples["demo/clean"].values()) and cached(gate, gated.body))
    finally:
        hub.stop()
    gate.stop()
    gate.start()  # nothing but what is on the disk
    for repo in ("demo/clean", "demo/many"):
        run = make_clients(gate).python(script.format(repo, str(tmp_path / "offline" / repo)))
        assert run.ok, run.output
        assert tree_of(tmp_path / "offline" / repo) == tree_of(tmp_path / "online" / repo)
    assert metric(gate, "cache_offline_total") > 10
    again = gate.head("/demo/clean/resolve/main/adapter_config.json")
    assert again.status == 404 and again.headers["X-Error-Code"] == "EntryNotFound"
    ranged = gate.get("/demo/clean/resolve/main/model.safetensors", headers={"Range": "bytes=5-9"})
    assert ranged.status in (206, 502), "under main only what was asked for under main"
    # Only to those to whom the hub gave it.
    assert gate.get("/demo/gated/resolve/main/model.safetensors").body == gated.body
    assert gate.get("/demo/gated/resolve/main/model.safetensors", token="hf_mallory").status == 502
    assert gate.get("/demo/gated/resolve/main/model.safetensors", token=None).status == 502
    assert gate.get("/api/models/demo/clean/revision/main", token="hf_mallory").status == 502
    assert gate.get("/demo/large/resolve/main/honest.pkl").status == 502


def test_without_offline_the_hub_is_needed(gate, hub, samples):
    data = fill(gate, samples)
    hub.fault(role="hub", status=503, body="away")
    answer = gate.get(LARGE, headers=PYTHON_AGENT)
    assert answer.status == 503 and answer.body != data


def test_cache_is_off_unless_asked_for(make_gate, samples):
    gate = make_gate()
    assert gate.get(LARGE).body == samples["demo/large"]["model.safetensors"]
    assert not (gate.data / "cache").exists()
    assert "cache_" not in gate.admin("/metrics").text
