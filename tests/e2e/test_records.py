"""What the gate remembers: records, ranges, waivers, warnings, quarantine, the audit log, its own health."""
import concurrent.futures
import hashlib
import json
import re
import signal
import time

import pytest

from gate import hubgate

LARGE = "/demo/large/resolve/main/model.safetensors"
PYTHON_AGENT = {"User-Agent": "unknown/None; hf_hub/2.4.0; python/3.11.7"}


def cdn_fetches(hub):
    return [record for record in hub.log() if record["role"] == "cdn" and record["method"] == "GET"]


def test_many_clients_one_fetch(fresh_gate, hub, samples):
    """Asked at once, an object is fetched and scanned once."""
    hub.fault(role="cdn", rate=12_000_000)
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: fresh_gate.get("/demo/large/resolve/main/honest.pkl", timeout=120), range(12)))
    good = [answer for answer in answers if answer.status == 200]
    assert good and all(answer.body == samples["demo/large"]["honest.pkl"] for answer in good)
    assert all(answer.status in (200, 429) for answer in answers), [answer.status for answer in answers]
    # Each request is put to the hub with its own token; the bytes are fetched once.
    assert sum(record["sent"] for record in cdn_fetches(hub)) < 2 * len(samples["demo/large"]["honest.pkl"])
    assert "hubgate_scans_total 1\n" in fresh_gate.admin("/metrics").text


def test_second_pull_is_served_from_the_record(fresh_gate, hub, samples):
    first = fresh_gate.get(LARGE)
    second = fresh_gate.get(LARGE)
    assert first.body == second.body == samples["demo/large"]["model.safetensors"]


def test_weights_that_stream_by_are_looked_into(fresh_gate, samples):
    """A tensor far behind the header that is a program stops the transfer, and the record says so."""
    path = "/demo/hidden-program/resolve/main/model.safetensors"
    first = fresh_gate.get(path)
    assert first.status >= 400 or not first.complete
    assert first.body != samples["demo/hidden-program"]["model.safetensors"]
    second = fresh_gate.get(path)
    assert second.status == 403 and "generic-executable" in second.everything, second.everything[:400]


@pytest.mark.parametrize("flip", [9_000_000, 25_165_900])
def test_other_bytes_under_a_known_oid_never_leave(fresh_gate, hub, samples, flip):
    data = samples["demo/large"]["model.safetensors"]
    assert fresh_gate.get(LARGE).body == data
    hub.fault(role="cdn", flip=flip)
    answer = fresh_gate.get(LARGE)
    assert answer.status >= 400 or not answer.complete
    assert data.startswith(answer.body) or answer.status >= 400
    ranged = fresh_gate.get(LARGE, headers={"Range": f"bytes={flip - 5}-{flip + 5}"})
    assert ranged.status >= 400 or not ranged.complete
    assert ranged.body != data[flip - 5:flip] + bytes([data[flip] ^ 0xFF]) + data[flip + 1:flip + 6]


def test_ranges_wait_for_a_verdict(fresh_gate, samples):
    data = samples["demo/large"]["model.safetensors"]
    one = fresh_gate.get(LARGE, headers={"Range": "bytes=0-0"})
    assert one.status == 206 and one.body == data[:1] and one.headers["Content-Range"] == f"bytes 0-0/{len(data)}"
    deadline, statuses = time.monotonic() + 60, []
    while time.monotonic() < deadline:
        answer = fresh_gate.get(LARGE, headers={"Range": "bytes=2000000-2000099"})
        statuses.append(answer.status)
        if answer.status == 206:
            break
        assert answer.status == 429 and int(answer.headers["Retry-After"]) >= 1, answer.everything
        time.sleep(0.3)
    assert statuses[-1] == 206, statuses
    assert answer.body == data[2_000_000:2_000_100]
    for wanted, expected in [("bytes=-10", data[-10:]), (f"bytes={len(data) - 3}-", data[-3:]), ("bytes=0-99", data[:100]),
                             ("bytes=1048570-1048590", data[1048570:1048591])]:
        answer = fresh_gate.get(LARGE, headers={"Range": wanted})
        assert answer.status == 206 and answer.body == expected, (wanted, answer.everything[:300])
    assert fresh_gate.get(LARGE, headers={"Range": f"bytes={len(data)}-"}).status == 416


def test_a_range_of_a_poisoned_object_is_refused(fresh_gate):
    path = "/demo/poisoned-late/resolve/main/model.pkl"
    for _ in range(100):
        answer = fresh_gate.get(path, headers={"Range": "bytes=100-199"})
        if answer.status != 429:
            break
        time.sleep(0.2)
    assert answer.status == 403 and "hubgate: " in answer.text


def test_a_known_annotated_object_says_so(fresh_gate, make_clients, tmp_path):
    path = "/demo/unknown-class/resolve/main/model.pkl"
    assert fresh_gate.get(path).status == 200
    head, answer = fresh_gate.head(path), fresh_gate.get(path)
    assert answer.status == 200
    for said in (head, answer):
        assert "hubgate" in said.headers["X-HF-Warning"] and "PrivateLayer" in said.headers["X-HF-Warning"]
        assert said.headers["X-Hubgate-Verdict"] == "suspicious"
    run = make_clients(fresh_gate).hub_download("demo/unknown-class", "model.pkl", tmp_path / "out")
    assert run.ok and "hubgate" in run.output and "PrivateLayer" in run.output, run.output


def test_clean_answers_carry_no_warning(gate):
    gate.get(LARGE)
    assert "X-HF-Warning" not in gate.get(LARGE).headers


def test_waiver(fresh_gate, samples):
    path = "/demo/poisoned-pickle/resolve/main/model.pkl"
    refused = fresh_gate.get(path)
    assert refused.status == 403 and "waiver" in refused.text
    assert refused.headers["X-Error-Message"].startswith("hubgate: ")
    assert refused.headers["X-Error-Message"] == json.loads(refused.body)["error"]
    told = re.search(r"hubgate waiver add (\S+) --rules (\S+) --reason", refused.text)
    assert told, refused.text
    sha256 = hashlib.sha256(samples["demo/poisoned-pickle"]["model.pkl"]).hexdigest()
    assert told.group(1) == sha256
    added = fresh_gate.run("waiver", "add", sha256, "--rules", told.group(2), "--scope", "demo/*", "--reason", "reviewed, a test",
                           "--approver", "security@example.invalid", "--expires", "30d")
    assert added.returncode == 0, (added.stdout, added.stderr)
    assert sha256[:12] in fresh_gate.run("waiver", "list").stdout
    passed = fresh_gate.get(path)
    assert passed.status == 200 and passed.body == samples["demo/poisoned-pickle"]["model.pkl"], passed.everything
    waived = fresh_gate.audit_lines()[-1]
    assert waived.get("waiver"), waived
    identity = re.search(r"\b(\d+)\b", added.stdout).group(1)
    assert fresh_gate.run("waiver", "revoke", identity, "--by", "security@example.invalid").returncode == 0
    assert fresh_gate.get(path).status == 403
    assert fresh_gate.run("audit", "verify").returncode == 0


def test_presets(make_gate):
    audit = make_gate("--policy", "audit")
    assert audit.get("/demo/poisoned-pickle/resolve/main/model.pkl").status == 200
    line = [line for line in audit.audit_lines() if line.get("path") == "model.pkl"][-1]
    assert line["decision"] in ("allow", "annotate") and line["would_be"] in ("block", "quarantine"), line
    strict = make_gate("--policy", "strict")
    assert strict.get("/demo/unknown-class/resolve/main/model.pkl").status == 403
    assert strict.get("/demo/clean/resolve/main/model.safetensors").status == 200


def test_quarantine_keeps_the_bytes_for_review(make_gate, samples):
    gate = make_gate(policy="version: 1\nrules:\n  - id: keep\n    match: {severity: malicious}\n    action: quarantine\n"
                            "  - id: rest\n    action: allow\n")
    assert gate.get("/demo/poisoned-pickle/resolve/main/model.pkl").status == 403
    sha256 = hashlib.sha256(samples["demo/poisoned-pickle"]["model.pkl"]).hexdigest()
    deadline = time.monotonic() + 10
    while sha256[:12] not in gate.run("quarantine", "list").stdout and time.monotonic() < deadline:
        time.sleep(0.2)
    assert sha256[:12] in gate.run("quarantine", "list").stdout
    assert gate.run("quarantine", "show", sha256).returncode == 0


def test_audit_log_is_chained_and_has_no_secrets(gate, clients, tmp_path):
    clients.hub_download("demo/large", "model.safetensors", tmp_path / "out")
    clients.hub_download("demo/poisoned-torch", "pytorch_model.bin", tmp_path / "out")
    checked = gate.run("audit", "verify")
    assert checked.returncode == 0, checked.stderr
    text = "".join(file.read_text() for file in (gate.data / "audit").glob("*.jsonl")) + gate.log.read_text()
    assert "hf_alice" not in text and "X-Amz-Signature" not in text
    line = [line for line in gate.audit_lines() if line.get("path") == "pytorch_model.bin" and line.get("repo") == "demo/poisoned-torch"][-1]
    assert line["decision"] in ("block", "quarantine") and line["rule"] and line["verdict"] == "malicious"


def test_a_changed_audit_line_shows(fresh_gate):
    fresh_gate.get("/demo/poisoned-pickle/resolve/main/model.pkl")
    fresh_gate.stop()
    file = sorted((fresh_gate.data / "audit").glob("*.jsonl"))[0]
    file.write_text(file.read_text().replace("poisoned-pickle", "polished-pickle", 1))
    assert fresh_gate.run("audit", "verify").returncode != 0


def test_health_and_metrics(gate):
    assert gate.admin("/healthz").status == 200
    assert gate.admin("/readyz").status == 200
    gate.get("/demo/poisoned-pickle/resolve/main/model.pkl")
    metrics = gate.admin("/metrics")
    assert metrics.status == 200 and metrics.headers["Content-Type"].startswith("text/plain")
    for line in metrics.text.splitlines():
        assert line.startswith("#") or re.fullmatch(r'hubgate_[a-z_]+(\{[^}]*\})? [-+0-9.e]+', line), line
    assert re.search(r"hubgate_\w*decisions\w*\{[^}]*block", metrics.text), metrics.text


def test_killed_in_the_middle_it_starts_again(fresh_gate, hub, samples):
    assert fresh_gate.get("/demo/poisoned-pickle/resolve/main/model.pkl").status == 403
    before = fresh_gate.audit_lines()
    hub.fault(role="cdn", rate=4_000_000)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        running = [pool.submit(fresh_gate.get, f"/demo/large/resolve/main/{name}") for name in ("model.safetensors", "honest.pkl")]
        time.sleep(1)
        fresh_gate.stop(signal.SIGKILL)
        for future in running:
            try:
                answer = future.result()
                assert not answer.complete
            except OSError:
                pass
    hub.reset()
    fresh_gate.start()
    assert fresh_gate.run("audit", "verify").returncode == 0
    assert fresh_gate.audit_lines()[:len(before)] == before
    for name in ("model.safetensors", "honest.pkl"):
        assert fresh_gate.get(f"/demo/large/resolve/main/{name}").body == samples["demo/large"][name]
    assert fresh_gate.get("/demo/poisoned-pickle/resolve/main/model.pkl").status == 403
    leftovers = [path for path in (fresh_gate.data / "spool").rglob("*") if path.is_file()] if (fresh_gate.data / "spool").exists() else []
    assert sum(path.stat().st_size for path in leftovers) == 0


def test_policy_simulate_over_the_recorded_past(gate, tmp_path):
    gate.get("/demo/unknown-class/resolve/main/model.pkl")
    done = gate.run("policy", "simulate", "strict")
    assert done.returncode == 0 and "block" in done.stdout, (done.stdout, done.stderr)


@pytest.mark.parametrize("arguments", [
    ["serve", "--listen", "nonsense", "--upstream", "http://127.0.0.1:1"], ["serve", "--listen", "127.0.0.1:1"],
    ["serve", "--listen", "127.0.0.1:0", "--upstream", "ftp://example.invalid"], ["serve", "--unknown-flag"],
    ["serve", "--listen", "127.0.0.1:0", "--upstream", "http://127.0.0.1:1", "--policy", "/absent.yaml"],
    ["serve", "--listen", "127.0.0.1:0", "--upstream", "http://127.0.0.1:1", "--config", "/absent.yaml"],
    ["serve", "--listen", "0.0.0.0:0", "--upstream", "http://127.0.0.1:1", "--tls", "off"],
    ["scan", "--format", "xml", "/dev/null"], ["nonsense"], [],
])
def test_bad_flags_get_one_line_and_exit_2(arguments, tmp_path):
    if "serve" in arguments:
        arguments = [*arguments, "--data", str(tmp_path)]
    done = hubgate(*arguments, timeout=20)
    assert done.returncode == 2, (done.returncode, done.stderr)
    assert done.stderr.strip() and len(done.stderr.strip().splitlines()) <= 3, done.stderr


def test_bad_configuration_names_line_and_field(tmp_path):
    (tmp_path / "hubgate.yaml").write_text("git:\n  packs: perhaps\n")
    done = hubgate("serve", "--listen", "127.0.0.1:0", "--upstream", "http://127.0.0.1:1", "--data", tmp_path,
                   "--config", tmp_path / "hubgate.yaml", timeout=20)
    assert done.returncode == 2 and "hubgate.yaml:2" in done.stderr and "packs" in done.stderr, done.stderr
