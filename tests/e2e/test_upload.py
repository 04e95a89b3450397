"""Uploads over the hub's API: byte-identical at the upstream, or refused in the client's own words.

huggingface_hub 2 sends its bytes over Xet wherever hf_xet is installed; without it, over LFS.
"""
import base64
import hashlib
import json
import random
import urllib.error
import urllib.request
import uuid

import pytest

from clients import HF
from hub.samples import call, honest_items, large_pickle, models, pickle_of, safetensors

PLAIN = {"HF_HUB_DISABLE_XET": "1"}
EVIL = pickle_of(call("os", "system", "echo hubgate-marker"), 2)


@pytest.fixture
def repo():
    """A name that nobody has used."""
    return f"alice/{uuid.uuid4().hex[:10]}"


def stored(hub, repo, path) -> bytes | None:
    """What the hub itself gives, around the gate."""
    request = urllib.request.Request(f"{hub.url}/{repo}/resolve/main/{path}")
    request.add_unredirected_header("Authorization", "Bearer hf_alice")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read()
    except urllib.error.HTTPError:
        return None


SHADOWED = models()["demo/shadowed"]
HONEST = {
    "config.json": b'{"model_type": "x"}\n',
    "README.md": b"# A model\n",
    "model.safetensors": safetensors({"w": 290_000}),
    "weights.pkl": pickle_of(honest_items(100_000)),
    "sub/empty.txt": b"",
}


def test_a_folder_arrives_byte_for_byte(hub, clients, fresh_gate, repo, tmp_path):
    run = clients.upload_folder(repo, HONEST, tmp_path / "up", **PLAIN)
    assert run.ok, run.output
    for path, data in HONEST.items():
        assert stored(hub, repo, path) == data, path
    puts = [entry for entry in hub.log() if entry["method"] == "PUT"]
    assert len(puts) == 2, puts
    # 1.1 MiB of numbers: a little more than what is held back, by a gate that has not seen them.
    assert fresh_gate.get(f"/{repo}/resolve/main/model.safetensors").body == HONEST["model.safetensors"]


@pytest.mark.parametrize("path, data", [
    ("weights.pkl", EVIL),
    ("small.json", EVIL),
    ("late.pkl", large_pickle(12, call("os", "system", "echo hubgate-marker"))),
], ids=["lfs", "inline", "late"])
def test_poison_is_refused_and_nothing_arrives(hub, clients, repo, tmp_path, path, data):
    run = clients.upload_folder(repo, {path: data, "README.md": b"# x\n"}, tmp_path / "up", **PLAIN)
    assert not run.ok, run.output
    assert "hubgate: " in run.output and "os.system" in run.output, run.output
    assert stored(hub, repo, path) is None
    assert stored(hub, repo, "README.md") is None
    assert not any(entry["path"].endswith("/commit/main") for entry in hub.log())


def test_hf_command(hub, clients, repo, tmp_path):
    (tmp_path / "w.safetensors").write_bytes(HONEST["model.safetensors"])
    run = clients.run(HF, "upload", repo, tmp_path / "w.safetensors", "w.safetensors", **PLAIN)
    assert run.ok, run.output
    assert stored(hub, repo, "w.safetensors") == HONEST["model.safetensors"]
    (tmp_path / "w.pkl").write_bytes(EVIL)
    run = clients.run(HF, "upload", repo, tmp_path / "w.pkl", "w.pkl", **PLAIN)
    assert not run.ok and "hubgate: " in run.output and "os.system" in run.output, run.output


def test_xet_is_refused_before_any_byte(hub, clients, repo, tmp_path):
    """The default client of today: it falls back to nothing, so it must not get a token."""
    (tmp_path / "w.safetensors").write_bytes(HONEST["model.safetensors"])
    run = clients.run(HF, "upload", repo, tmp_path / "w.safetensors", "w.safetensors")
    assert not run.ok, run.output
    assert not any("/commit/" in entry["path"] for entry in hub.log())


def test_javascript(hub, clients, repo, tmp_path):
    files = [tmp_path / path for path in HONEST if "/" not in path]
    for path in files:
        path.write_bytes(HONEST[path.name])
    run = clients.js_upload(repo, *files)
    assert run.ok, run.output
    for path in files:
        assert stored(hub, repo, path.name) == HONEST[path.name], path
    (tmp_path / "evil.pkl").write_bytes(EVIL)
    run = clients.js_upload(repo + "x", tmp_path / "evil.pkl")
    assert not run.ok and "hubgate: " in run.output and "os.system" in run.output, run.output
    assert stored(hub, repo + "x", "evil.pkl") is None


def test_rust(hub, clients, repo, tmp_path):
    """Without Xet it sends its files inside of the commit, whatever the batch answer offers."""
    files = [tmp_path / path for path in HONEST if "/" not in path]
    for path in files:
        path.write_bytes(HONEST[path.name])
    run = clients.rust_change("upload", repo, *files)
    assert run.ok, run.output
    run = clients.rust_change("upload", repo, tmp_path / "config.json")
    assert run.ok, run.output
    for path in files:
        assert stored(hub, repo, path.name) == HONEST[path.name], path
    run = clients.rust_change("pull-request", repo, tmp_path / "weights.pkl")
    assert run.ok, run.output
    run = clients.rust_change("delete", repo, "config.json")
    assert run.ok and stored(hub, repo, "config.json") is None, run.output
    for name, data in (("evil.pkl", EVIL), ("late.pkl", large_pickle(2, call("os", "system", "echo hubgate-marker")))):
        (tmp_path / name).write_bytes(data)
        run = clients.rust_change("upload", repo + "x", tmp_path / name)
        assert not run.ok and "hubgate: " in run.output and "os.system" in run.output, run.output
        assert stored(hub, repo + "x", name) is None


def batch(gate, repo, operation, oid, size):
    body = json.dumps({"operation": operation, "transfers": ["basic"], "objects": [{"oid": oid, "size": size}]}).encode()
    answer = gate.request("POST", f"/{repo}.git/info/lfs/objects/batch", body=body,
                          headers={"Content-Type": "application/vnd.git-lfs+json"})
    assert answer.status == 200, answer.text
    return json.loads(answer.body)["objects"][0]


def create(gate, repo):
    body = json.dumps({"name": repo.split("/")[1], "organization": repo.split("/")[0], "type": "model"}).encode()
    answer = gate.request("POST", "/api/repos/create", body=body, headers={"Content-Type": "application/json"})
    assert answer.status == 200, answer.text


def put(gate, action, data):
    path = action["href"].removeprefix(gate.url)
    return gate.request("PUT", path, body=data, token=None)


def commit(gate, repo, *lines):
    header = {"key": "header", "value": {"summary": "x", "description": ""}}
    body = "\n".join(json.dumps(line) for line in (header, *lines)).encode()
    return gate.request("POST", f"/api/models/{repo}/commit/main", body=body, headers={"Content-Type": "application/x-ndjson"})


def linked(path, oid, size):
    return {"key": "lfsFile", "value": {"path": path, "algo": "sha256", "oid": oid, "size": size}}


def inline(path, data):
    return {"key": "file", "value": {"path": path, "encoding": "base64", "content": base64.b64encode(data).decode()}}


def sha(data):
    return hashlib.sha256(data).hexdigest()


def test_other_bytes_than_the_oid_says_are_refused(hub, gate, repo):
    create(gate, repo)
    data = random.Random(3).randbytes(50_000)
    action = batch(gate, repo, "upload", sha(b"something else"), len(data))["actions"]["upload"]
    answer = put(gate, action, data)
    assert answer.status == 403 and "sha256" in answer.text
    assert put(gate, action, data[:-1]).status == 400


def test_a_link_takes_what_it_was_made_for(gate, repo):
    create(gate, repo)
    action = batch(gate, repo, "upload", sha(b"x"), 1)["actions"]
    path = action["upload"]["href"].removeprefix(gate.url)
    assert gate.request("PUT", path.replace("/upload/", "/verify/"), body=b"x").status == 403
    assert gate.request("PUT", path[:-3] + "abc", body=b"x").status == 403
    assert gate.get(path).status == 403


def test_known_poison_is_refused_in_the_batch_answer(gate, repo):
    create(gate, repo)
    action = batch(gate, repo, "upload", sha(EVIL), len(EVIL))["actions"]["upload"]
    assert put(gate, action, EVIL).status == 403
    again = batch(gate, repo, "upload", sha(EVIL), len(EVIL))
    assert "actions" not in again and "hubgate: " in again["error"]["message"]


def test_a_commit_may_not_name_what_the_hub_already_has(hub, gate, repo):
    """The bytes came by another road: the commit is where they are read (law 5)."""
    create(gate, repo)
    around = json.dumps({"operation": "upload", "objects": [{"oid": sha(EVIL), "size": len(EVIL)}]}).encode()
    request = urllib.request.Request(f"{hub.url}/{repo}.git/info/lfs/objects/batch", data=around,
                                     headers={"Authorization": "Bearer hf_alice"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        action = json.load(answer)["objects"][0].get("actions", {}).get("upload")
    if action:
        urllib.request.urlopen(urllib.request.Request(action["href"], data=EVIL, method="PUT"), timeout=30).close()
    answer = commit(gate, repo, linked("w.pkl", sha(EVIL), len(EVIL)))
    assert answer.status == 403 and "os.system" in answer.text
    assert stored(hub, repo, "w.pkl") is None


def test_a_commit_may_not_name_what_nobody_has(hub, gate, repo):
    create(gate, repo)
    answer = commit(gate, repo, linked("w.pkl", sha(b"nowhere"), 7))
    assert answer.status == 502 and "was not scanned" in answer.text


def test_a_pointer_is_no_file(hub, gate, repo):
    create(gate, repo)
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha(EVIL)}\nsize {len(EVIL)}\n".encode()
    answer = commit(gate, repo, inline("w.pkl", pointer))
    assert answer.status == 403 and "pointer" in answer.text


@pytest.mark.parametrize("line", [
    {"key": "copyFile", "value": {"path": "a", "srcPath": "b"}},
    {"key": "file", "value": {"path": "../a", "encoding": "base64", "content": ""}},
    {"key": "file", "value": {"path": "a", "encoding": "rot13", "content": ""}},
])
def test_what_is_not_understood_is_refused(hub, gate, repo, line):
    create(gate, repo)
    answer = commit(gate, repo, line)
    assert answer.status == 403 and "line 2 of the commit" in answer.text
    assert not any("/commit/" in entry["path"] for entry in hub.log())


def test_a_sample_is_enough_to_refuse(hub, gate, repo):
    create(gate, repo)
    files = [{"path": "w.pkl", "size": 10**9, "sample": base64.b64encode(EVIL + b"x" * 400).decode()}]
    answer = gate.request("POST", f"/api/models/{repo}/preupload/main", body=json.dumps({"files": files}).encode(),
                          headers={"Content-Type": "application/json"})
    assert answer.status == 403 and "os.system" in answer.text




def test_a_commit_is_judged_with_what_is_there_already(hub, gate, repo):
    """A module that shadows a library is harmless alone and an attack beside code that imports it."""
    create(gate, repo)
    first = commit(gate, repo, *(inline(path, data) for path, data in SHADOWED.items() if path != "torch.py"))
    assert first.status == 200, first.text
    answer = commit(gate, repo, inline("torch.py", SHADOWED["torch.py"]))
    assert answer.status == 403 and "torch.py" in answer.text and "tree-shadow-module" in answer.text, answer.text
    assert stored(hub, repo, "torch.py") is None
    gone = [{"key": "deletedFile", "value": {"path": path}} for path in SHADOWED if path not in ("torch.py", "README.md")]
    assert commit(gate, repo, inline("notes.md", b"# x\n"), *gone).status == 200


def test_what_was_refused_stays_refused_by_its_hash(hub, make_gate, repo):
    """On every road, also when the bytes come to the hub by another one later."""
    gate = make_gate(policy="""
version: 1
name: kept-aside
rules:
  - {id: malicious, match: {severity: malicious}, action: quarantine}
  - {id: rest, action: allow}
""")
    poison = pickle_of(call("os", "system", f"echo hubgate-marker {repo}"), 2)
    create(gate, repo)
    assert put(gate, batch(gate, repo, "upload", sha(poison), len(poison))["actions"]["upload"], poison).status == 403
    kept = gate.run("quarantine", "list")
    assert sha(poison)[:12] in kept.stdout, kept.stdout + kept.stderr
    around = json.dumps({"operation": "upload", "objects": [{"oid": sha(poison), "size": len(poison)}]}).encode()
    request = urllib.request.Request(f"{hub.url}/{repo}.git/info/lfs/objects/batch", data=around, headers={"Authorization": "Bearer hf_alice"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        href = json.load(answer)["objects"][0]["actions"]["upload"]["href"]
    urllib.request.urlopen(urllib.request.Request(href, data=poison, method="PUT"), timeout=30).close()
    body = "\n".join(json.dumps(line) for line in ({"key": "header", "value": {"summary": "x"}}, linked("w.bin", sha(poison), len(poison))))
    request = urllib.request.Request(f"{hub.url}/api/models/{repo}/commit/main", data=body.encode(), headers={"Authorization": "Bearer hf_alice"})
    urllib.request.urlopen(request, timeout=30).close()
    assert gate.get(f"/{repo}/resolve/main/w.bin").status == 403
    assert "hubgate: " in batch(gate, repo, "download", sha(poison), len(poison))["error"]["message"]
    assert "hubgate: " in batch(gate, repo, "upload", sha(poison), len(poison))["error"]["message"]
    answer = commit(gate, repo, linked("other.bin", sha(poison), len(poison)))
    assert answer.status == 403 and "os.system" in answer.text
