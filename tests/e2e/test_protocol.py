"""What the gate changes on the wire: addresses, Xet, links, tokens; and what it refuses to relay."""
import json
from urllib.parse import urlsplit

import pytest

from clients import HF

CLEAN = "/demo/clean/resolve/main"
JSON_ROUTES = ["/api/models/demo/clean", "/api/models/demo/clean/revision/main", "/api/models/demo/clean/tree/main?recursive=true",
               "/api/models/demo/clean/tree/main?expand=true", "/api/models/demo/clean/refs", "/api/models/demo/clean/commits/main",
               "/api/models", "/api/whoami-v2"]


@pytest.fixture
def addresses(hub):
    """The upstream's own addresses, which no client may learn."""
    return [urlsplit(url).netloc for url in (hub.url, hub.cdn_url)]


@pytest.mark.parametrize("path", [*JSON_ROUTES, f"{CLEAN}/model.safetensors", f"{CLEAN}/config.json", "/demo/old-name/resolve/main/config.json",
                                  "/api/models/demo/many/tree/main?recursive=true"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_nothing_leaks_the_upstream_address(gate, addresses, method, path):
    answer = gate.request(method, path)
    assert answer.status < 400, answer.everything
    for address in addresses:
        assert address not in answer.everything
        assert address.replace(":", "%3A") not in answer.everything


def test_lfs_links_lead_through_the_gate(gate, addresses, samples):
    import hashlib
    data = samples["demo/clean"]["model.safetensors"]
    oid = hashlib.sha256(data).hexdigest()
    body = json.dumps({"operation": "download", "transfers": ["basic"], "objects": [{"oid": oid, "size": len(data)}]}).encode()
    answer = gate.request("POST", "/demo/clean.git/info/lfs/objects/batch", body=body,
                          headers={"Content-Type": "application/vnd.git-lfs+json", "Accept": "application/vnd.git-lfs+json",
                                   "User-Agent": "git-lfs/3.3.0"})
    assert answer.status == 200, answer.everything
    for address in addresses:
        assert address not in answer.everything
    link = urlsplit(json.loads(answer.body)["objects"][0]["actions"]["download"]["href"])
    assert link.netloc == f"127.0.0.1:{gate.port}"
    fetched = gate.get(f"{link.path}?{link.query}", token=None)
    assert fetched.body == data
    tampered = gate.get(f"{link.path}?{link.query}x", token=None)
    assert tampered.status in (400, 403, 404) and tampered.body != data


def test_xet_is_not_offered(gate):
    head = gate.head(f"{CLEAN}/model.safetensors")
    assert head.status == 200
    assert not any("xet" in name.lower() or "xet" in value.lower() for name, value in head.headers.items())
    tree = gate.get("/api/models/demo/clean/tree/main?recursive=true")
    assert b"xetHash" not in tree.body
    files = {entry["path"]: entry for entry in json.loads(tree.body)}
    assert files["model.safetensors"]["lfs"]["oid"]


@pytest.mark.parametrize("kind, body", [("application/json", b'{"paths": ["model.safetensors"], "expand": true}'),
                                        ("application/x-www-form-urlencoded", b"paths=model.safetensors&expand=True")])
def test_paths_info_has_no_xet_hash(gate, kind, body):
    answer = gate.request("POST", "/api/models/demo/clean/paths-info/main", body=body, headers={"Content-Type": kind})
    assert answer.status == 200, answer.everything
    entry = json.loads(answer.body)[0]
    assert entry["path"] == "model.safetensors" and "xetHash" not in entry


def test_the_xet_token_route_is_refused(gate, hub):
    answer = gate.get("/api/models/demo/clean/xet-read-token/main")
    assert answer.status == 403
    assert answer.headers["X-Error-Message"].startswith("hubgate: ")
    assert "xet" in answer.headers["X-Error-Message"].lower()
    assert not any("xet-read-token" in record["path"] for record in hub.log())


def test_a_client_with_an_old_cache_is_told_about_xet(clients):
    """A tree listing that was cached before the gate was there still holds Xet hashes."""
    download = "import huggingface_hub; huggingface_hub.snapshot_download('demo/clean', allow_patterns=['%s'])"
    first = clients.python(download % "README.md")
    assert first.ok, first.output
    trees = list(clients.home.rglob("trees/*.json"))
    assert trees
    for tree in trees:
        value = json.loads(tree.read_text())
        for entry in value["files"].values():
            if "lfs_sha256" in entry:
                entry["xet_hash"] = "ab" * 32
        tree.write_text(json.dumps(value))
    run = clients.python(download % "model.safetensors")
    assert not run.ok and "hubgate: " in run.output and "xet" in run.output.lower(), run.output


def test_javascript_media_type_is_dropped(gate, hub, samples):
    answer = gate.get(f"{CLEAN}/model.safetensors", headers={
        "Accept": "application/vnd.xet-fileinfo+json, */*", "Range": "bytes=0-0", "User-Agent": "node"})
    data = samples["demo/clean"]["model.safetensors"]
    assert answer.status == 206 and answer.body == data[:1]
    assert answer.headers["Content-Range"] == f"bytes 0-0/{len(data)}"
    assert "xet" not in answer.headers["Content-Type"]


def test_head_answers_directly(gate, samples):
    import hashlib
    data = samples["demo/clean"]["model.safetensors"]
    head = gate.head(f"{CLEAN}/model.safetensors", headers={"Accept-Encoding": "identity"})
    assert head.status == 200
    assert int(head.headers["Content-Length"]) == len(data)
    assert head.headers["X-Linked-Etag"].strip('"') == hashlib.sha256(data).hexdigest()
    assert len(head.headers["X-Repo-Commit"]) == 40
    assert "Content-Encoding" not in head.headers


def test_pagination_links_lead_through_the_gate(gate):
    path, seen = "/api/models/demo/many/tree/main?recursive=true", []
    while path:
        answer = gate.get(path)
        assert answer.status == 200, answer.everything
        seen += [entry["path"] for entry in json.loads(answer.body)]
        link = answer.headers.get("Link")
        path = None
        if link:
            target = urlsplit(link.split(">")[0].strip("<"))
            assert (target.scheme, target.netloc) == ("http", f"127.0.0.1:{gate.port}")
            path = f"{target.path}?{target.query}"
    assert len(seen) == len(set(seen)) == 48


def test_the_token_never_reaches_the_cdn(gate, hub, clients, tmp_path):
    clients.hub_download("demo/large", "model.safetensors", tmp_path / "out")
    clients.curl("demo/large/resolve/main/model.safetensors", tmp_path / "out2")
    clients.js_file("demo/large", "model.safetensors", tmp_path / "out3")
    clients.git_clone("demo/large", tmp_path / "clone")
    log = hub.log()
    cdn = [record for record in log if record["role"] == "cdn"]
    assert cdn and not any("authorization" in record["headers"] or "hf_alice" in str(record["headers"]) for record in cdn)
    assert any("hf_alice" in record["headers"].get("authorization", "") for record in log if record["role"] == "hub")


def test_the_upstream_decides_who_may_read(gate):
    path = "/demo/gated/resolve/main/model.safetensors"
    for _ in range(2):
        assert gate.get(path, token="hf_alice").status == 200
        refused = gate.get(path, token="hf_mallory")
        assert refused.status == 403 and refused.headers["X-Error-Code"] == "GatedRepo"
        assert gate.get(path, token=None).status == 401
    assert gate.get("/demo/private/resolve/main/README.md", token=None).status == 401


def test_a_gated_repository_says_so_in_the_client(gate, make_clients):
    run = make_clients(gate, HF_TOKEN="hf_mallory").run(HF, "download", "demo/gated", "model.safetensors")
    assert not run.ok and "gated" in run.output.lower() and "hubgate" not in run.output, run.output


@pytest.mark.parametrize("path, code", [(f"{CLEAN}/absent.json", "EntryNotFound"), ("/demo/clean/resolve/absent/config.json", "RevisionNotFound"),
                                        ("/demo/absent/resolve/main/config.json", "RepoNotFound")])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_not_found_stays_not_found(gate, method, path, code):
    answer = gate.request(method, path)
    assert answer.status == 404 and answer.headers["X-Error-Code"] == code


@pytest.mark.parametrize("path", [
    "/demo/clean/resolve/main/../../../private/resolve/main/README.md", "/demo/clean/resolve/main/%2e%2e/config.json",
    "/demo/clean/resolve/main/sub%2Fnotes.txt", "/demo/clean/resolve/main/%252e%252e/config.json",
    "/demo/clean/resolve/main/sub/%00notes.txt", "/demo/clean/resolve/main/sub/notes%0d%0aX-Evil:1.txt",
    "/demo%2Fclean/resolve/main/config.json", "//demo/clean/resolve/main/config.json", "/demo/clean/resolve/main/./config.json",
    "/demo/clean/resolve/main/%zz", "/demo/clean/resolve/main/a%5cb",
])
def test_ambiguous_paths_are_refused(gate, hub, path):
    answer = gate.get(path)
    assert answer.status in (400, 403, 404), answer.everything
    assert "hubgate:" in answer.everything
    assert hub.log() == []


def test_a_revision_may_hold_a_slash(gate):
    answer = gate.get("/demo/clean/resolve/refs%2Fheads%2Fmain/config.json")
    assert answer.status == 200, answer.everything


@pytest.mark.parametrize("method, path, body", [
    ("POST", "/api/repos/delete", b'{"name": "clean"}'), ("DELETE", "/api/models/demo/clean", None),
    ("PUT", "/api/models/demo/clean/unheard-of", b"{}"), ("POST", "/api/models/demo/clean/branch/x", b"[]"),
    ("GET", "/api/models/demo/clean/xet-write-token/main", None), ("POST", "/some/unknown/route", b"x"),
    ("DELETE", "/demo/clean.git/info/refs?service=git-receive-pack", None), ("PUT", "/demo/clean.git/git-receive-pack", b"0000"),
    ("POST", "/demo/clean.git/info/lfs/objects/batch", b'{"operation":"delete","objects":[]}'),
])
def test_writes_are_refused_with_a_reason(gate, hub, method, path, body):
    answer = gate.request(method, path, body=body)
    assert answer.status == 403, answer.everything
    assert "hubgate: " in answer.everything
    assert hub.log() == []


def test_a_refusal_before_the_body_was_read_says_that_the_connection_ends(gate):
    answer = gate.request("POST", "/some/unknown/route", body=b"x" * 300)
    assert answer.status == 403 and answer.headers["Connection"] == "close"
    read = gate.request("GET", "/api/models/demo/clean")
    assert read.status == 200 and read.headers["Connection"] is None


def test_git_is_refused_where_the_configuration_says_so(make_gate, hub, make_clients, tmp_path):
    clients = make_clients(make_gate(config="git:\n  packs: refuse\n"))
    run = clients.git_clone("demo/clean", tmp_path / "out")
    assert not run.ok and "hubgate: " in run.output and "packs: refuse" in run.output, run.output
    (tmp_path / "work").mkdir()
    clients.run("git", "init", "-q", cwd=tmp_path / "work")
    clients.run("git", "commit", "-qm", "new", "--allow-empty", cwd=tmp_path / "work")
    run = clients.run("git", "push", f"{clients.endpoint}/demo/clean.git", "HEAD:x", cwd=tmp_path / "work")
    assert not run.ok and "hubgate: " in run.output, run.output
    assert hub.log() == []


def test_an_unknown_get_passes_only_as_small_scanned_text(gate, hub):
    assert gate.get("/demo/clean").status == 200
    hub.fault(path="/demo/clean", headers={"Content-Type": "application/octet-stream"})
    assert gate.get("/demo/clean").status == 403
    hub.reset()
    hub.fault(path="/demo/clean", replace_b64="A" * (12 << 20))
    answer = gate.get("/demo/clean")
    assert answer.status in (403, 502) and len(answer.body) < 8 << 20


@pytest.mark.parametrize("raw", [
    b"GET / HTTP/1.1\r\n\r\n", b"BLAH\r\n\r\n", b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"A%d: b\r\n" % n for n in range(20000)) + b"\r\n",
    b"POST /api/models/demo/clean/paths-info/main HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /api/models/demo/clean/paths-info/main HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
    b"POST /api/models/demo/clean/paths-info/main HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"POST /api/models/demo/clean/paths-info/main HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
])
def test_bad_http_gets_an_error_and_the_gate_stays(gate, hub, raw):
    import socket
    with socket.create_connection(("127.0.0.1", gate.port), timeout=20) as sock:
        sock.sendall(raw)
        sock.shutdown(socket.SHUT_WR)
        answer = sock.recv(65536)
    assert answer == b"" or answer.split()[1][:1] in (b"4", b"5"), answer[:200]
    assert hub.log() == []
    assert gate.get("/api/models/demo/clean").status == 200
