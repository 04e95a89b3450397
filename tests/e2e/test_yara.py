"""YARA rules of an organisation: in `hubgate scan`, at a push, at a pull, and what a reload changes."""
import gzip
import io
import json
import signal
import time
import zipfile

import pytest

from gate import hubgate
from hub.samples import safetensors
from test_hook import WorkingCopy, assert_refused
from servers import BareRepository

MARKER = b"organisation-marker-4711"
RULES = """
rule Marker {
  meta:
    description = "project Sundial must not leave"
    severity = "malicious"
    class = "theft"
  strings:
    $name = "organisation-marker-4711"
  condition:
    $name
}
"""
POLICY = """
version: 1
name: with-yara
yara: [rules/*.yar]
rules:
  - {id: ours, match: {rules: "yara:own.*"}, action: block, reason: ask the Sundial team}
  - {id: malicious, match: {severity: malicious}, action: block}
  - {id: unread, match: {verdict: inconclusive, reach: load}, action: block}
  - {id: rest, action: allow}
"""


def zipped(data):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("notes/inner.txt", data)
    return out.getvalue()


@pytest.fixture
def policy(tmp_path):
    folder = tmp_path / "policy"
    (folder / "rules").mkdir(parents=True)
    (folder / "rules/own.yar").write_text(RULES)
    (folder / "policy.yaml").write_text(POLICY)
    return folder / "policy.yaml"


def findings(run):
    return {(line["path"].rsplit("/", 1)[-1], found["rule"], found["where"])
            for line in map(json.loads, run.stdout.splitlines()) for found in line["findings"]
            if found["severity"] != "informational"}


def test_scan_looks_into_everything(policy, tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    text = b"# a note about " + MARKER + b"\n"
    (folder / "plain.md").write_bytes(text)
    (folder / "packed.zip").write_bytes(zipped(text))
    (folder / "packed.txt.gz").write_bytes(gzip.compress(text, mtime=0))
    (folder / "other.md").write_bytes(b"# nothing\n")
    run = hubgate("scan", "--format", "jsonl", "--policy", policy, folder)
    assert run.returncode == 1, run.stderr
    assert findings(run) == {("plain.md", "yara:own.Marker", ""), ("packed.zip", "yara:own.Marker", "notes/inner.txt"),
                             ("packed.txt.gz", "yara:own.Marker", "content")}
    blocked = [line for line in map(json.loads, run.stdout.splitlines()) if line.get("decision") == "block"]
    assert {line["policy_rule"] for line in blocked} == {"ours"} and len(blocked) == 3
    without = hubgate("scan", "--format", "jsonl", "--policy", "guarded", folder)
    assert findings(without) == set()
    assert json.loads(run.stdout.splitlines()[0])["rules"] != json.loads(without.stdout.splitlines()[0])["rules"]


def test_check_tells_file_and_line(policy):
    fine = hubgate("policy", "check", policy)
    assert fine.returncode == 0 and "1 YARA rules" in fine.stdout, fine.stderr
    rules = policy.parent / "rules"
    (rules / "broken.yar").write_text("rule Broken {\n  condition:\n    $missing }\n")
    (rules / "reads.yar").write_text('import "pe"\nrule Reads { condition: pe.is_pe }\n')
    (rules / "more.yar").write_text('include "own.yar"\n')
    broken = hubgate("policy", "check", policy)
    assert broken.returncode == 2
    assert f"{rules}/broken.yar:3: " in broken.stderr and f"{rules}/more.yar:1: " in broken.stderr, broken.stderr
    (rules / "broken.yar").unlink()
    (rules / "more.yar").unlink()
    assert f"{rules}/reads.yar:1: " in hubgate("policy", "check", policy).stderr
    for verb in (["scan", "--policy", policy, policy], ["explain", "--policy", policy, policy]):
        assert hubgate(*verb).returncode == 2, "what is wrong is never left out"
    policy.write_text(POLICY.replace("*.yar", "*.none"))
    assert "no file" in hubgate("policy", "check", policy).stderr


def test_explain(policy, tmp_path):
    shown = hubgate("explain", "yara:own.Marker", "--policy", policy)
    assert shown.returncode == 0 and "project Sundial" in shown.stdout and "own.yar:2" in shown.stdout, shown.stderr
    (tmp_path / "note.md").write_bytes(b"# " + MARKER)
    file = hubgate("explain", "--policy", policy, tmp_path / "note.md")
    assert file.returncode == 1 and "yara:own.Marker" in file.stdout and "$name at 2" in file.stdout, file.stdout


def test_a_push_is_refused(policy, tmp_path):
    server = BareRepository(tmp_path, "--policy", str(policy))
    work = WorkingCopy(tmp_path)
    work.commit({"README.md": b"# clean\n"})
    assert work.push(server).ok
    work.commit({"data/bundle.zip": zipped(b"see " + MARKER)})
    assert_refused(work.push(server), "data/bundle.zip", "yara:own.Marker", "project Sundial", "ask the Sundial team")
    # What a record says holds for the rules that made it.
    work.git("reset", "-q", "--hard", "HEAD~1")
    work.commit({"later.txt": b"the word is later-4712\n"})
    assert work.push(server).ok
    (policy.parent / "rules/own.yar").write_text(RULES.replace("organisation-marker-4711", "later-4712"))
    assert_refused(work.push(server, "main:refs/heads/again"), "later.txt", "yara:own.Marker")


def test_a_pull_is_refused_before_the_match_passes(policy, make_gate, make_clients, hub, samples, tmp_path):
    """Weights stream; with rules nothing leaves before they have seen the last byte."""
    data = samples["demo/large"]["model.safetensors"]
    deep = data[20_000_000:20_000_016]
    (policy.parent / "rules/own.yar").write_text(
        "rule Deep { meta: severity = \"malicious\" strings: $a = { %s } condition: $a }" % deep.hex())
    gate = make_gate("--policy", str(policy))
    run = make_clients(gate).hub_download("demo/large", "model.safetensors", tmp_path / "out")
    assert not run.ok and "yara:own.Deep" in run.output, run.output
    assert not (tmp_path / "out").exists()
    assert deep not in b"".join(path.read_bytes() for path in run.home.rglob("*") if path.is_file())
    answer = gate.get("/demo/large/resolve/main/honest.pkl")
    assert answer.status == 200 and answer.body == samples["demo/large"]["honest.pkl"]


def assert_pull_refused(gate, path):
    """A client that waited long has a head, but no byte; it asks again, and is told."""
    first = gate.get(path)
    assert first.status == 403 or (not first.complete and first.body == b""), first.everything[:400]
    second = gate.get(path)
    assert second.status == 403 and "yara:own.Deep" in second.everything, second.everything[:400]


def test_first_pull_sends_no_byte(policy, make_gate, samples):
    deep = samples["demo/large"]["model.safetensors"][20_000_000:20_000_016]
    (policy.parent / "rules/own.yar").write_text("rule Deep { strings: $a = { %s } condition: $a }" % deep.hex())
    assert_pull_refused(make_gate("--policy", str(policy)), "/demo/large/resolve/main/model.safetensors")


def test_a_reload_forgets_what_other_rules_found(policy, make_gate, samples):
    path = "/demo/large/resolve/main/model.safetensors"
    data = samples["demo/large"]["model.safetensors"]
    gate = make_gate("--policy", str(policy))
    assert gate.get(path).body == data
    deep = data[20_000_000:20_000_016]
    rules = policy.parent / "rules/own.yar"

    def reload():
        before = gate.log.read_text().count("reloaded")
        gate.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 60
        while gate.log.read_text().count("reloaded") == before and time.monotonic() < deadline:
            time.sleep(0.05)

    rules.write_text("rule Deep { strings: $a = { %s } condition: $a }" % deep.hex())
    reload()
    assert_pull_refused(gate, path)
    rules.write_text("rule Broken { condition: }")
    reload()
    assert "not reloaded" in gate.log.read_text()
    assert gate.get(path).status == 403, "what can't be loaded changes nothing"
    rules.write_text(RULES)
    reload()
    assert gate.get(path).body == data
