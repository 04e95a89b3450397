"""Through interception: ranges of signed links, protocols that would go around the gate, clients that do not trust
its authority, and what more the real clients do there."""
import http.client
import socket
import ssl
import threading
from pathlib import Path

import pytest

from clients import CAS, PYTHON, WORK, tree_of
from hub.pages import PARTS, page
from hub.samples import COMMAND, call, pickle_of, safetensors
from test_forward import SYSTEM_PYTHON, ProxyGate, World, ask, inside, signed_link
from test_pull_clean import with_attributes
from test_pull_poisoned import assert_refused

@pytest.fixture(scope="module")
def world(tmp_path_factory):
    made = World(tmp_path_factory.mktemp("world"))
    yield made
    made.stop()


@pytest.fixture(scope="module")
def gate(world, tmp_path_factory):
    made = ProxyGate(tmp_path_factory.mktemp("gate"), world)
    yield made
    made.stop()


@pytest.fixture
def fresh_gate(world, tmp_path):
    made = ProxyGate(tmp_path / "gate", world)
    yield made
    made.stop()


@pytest.fixture
def clients(gate, tmp_path):
    return gate.clients(tmp_path / "home")


# ranges of signed links that nobody has judged; the links are signed for GET, as object stores do it

def curl_range(gate, home, link, wanted, out, agent="curl"):
    return gate.clients(home).run("curl", "-sS", "-A", agent, "-r", wanted, "-o", out, "-w", "%{http_code} %header{content-range}", link)


@pytest.mark.parametrize("wanted, first, last", [("100-199", 100, 199), ("2000000-", 2_000_000, None), ("-5", -5, None)])
def test_a_range_of_an_unjudged_signed_link(fresh_gate, world, samples, tmp_path, wanted, first, last):
    """It is the first that the gate sees of the object: fetched and judged as a whole, then the range leaves."""
    data = samples["demo/large"]["model.safetensors"]
    link = signed_link(fresh_gate, world, "demo/large", "model.safetensors")
    run = curl_range(fresh_gate, tmp_path / "home", link, wanted, tmp_path / "out")
    expected = data[first:] if last is None else data[first:last + 1]
    assert run.output.startswith("206 bytes ") and run.output.endswith(f"/{len(data)}"), run.output
    assert (tmp_path / "out").read_bytes() == expected
    fetched = [record for record in world.hub.log() if record["role"] == "cdn" and "range" not in record["headers"] and record["method"] == "GET"]
    assert fetched and fetched[-1]["sent"] == len(data)


@pytest.mark.parametrize("wanted", ["100-199", "0-", "5-", "-1", "12000000-12000009"])
def test_a_range_of_a_poisoned_signed_link(fresh_gate, world, tmp_path, wanted):
    link = signed_link(fresh_gate, world, "demo/poisoned-late", "model.pkl")
    run = curl_range(fresh_gate, tmp_path / "home", link, wanted, tmp_path / "out")
    body = (tmp_path / "out").read_text(errors="replace")
    if wanted == "0-":  # all of it: released behind the scan and cut; refused at its head on the retry
        run = curl_range(fresh_gate, tmp_path / "home", link, wanted, tmp_path / "again")
        body = (tmp_path / "again").read_text()
    assert run.output.startswith("403"), run.output
    assert "hubgate: " in body and "os.system" in body


def test_a_range_while_the_scan_goes_on(fresh_gate, world, samples, tmp_path):
    """huggingface_hub is asked to come again; a client that waits gets the bytes. No byte before the verdict."""
    data = samples["demo/large"]["model.safetensors"]
    world.hub.control("faults", "POST", {"role": "cdn", "rate": len(data) // 9, "path": "/xet-bridge/*"})
    try:
        link = signed_link(fresh_gate, world, "demo/large", "model.safetensors")
        runs = {}

        def ask_as(agent):
            runs[agent] = curl_range(fresh_gate, tmp_path / "home", link, "1000000-1000009", tmp_path / agent[:4], agent)

        threads = [threading.Thread(target=ask_as, args=(agent,)) for agent in ("wget", "unknown/None; hf_hub/2.4.0")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert runs["wget"].output.startswith("206"), runs["wget"].output
        assert (tmp_path / "wget").read_bytes() == data[1_000_000:1_000_010]
        assert runs["unknown/None; hf_hub/2.4.0"].output.startswith(("429", "206"))
        if runs["unknown/None; hf_hub/2.4.0"].output.startswith("429"):
            assert "is being scanned" in (tmp_path / "unkn").read_text()
    finally:
        world.hub.control("faults", "DELETE")


def test_resumption(fresh_gate, world, samples, tmp_path):
    """wget -c and curl -C - of a file that began to come around the gate."""
    data = samples["demo/large"]["model.safetensors"]
    link = signed_link(fresh_gate, world, "demo/large", "model.safetensors")
    clients = fresh_gate.clients(tmp_path / "home")
    for name, command in (("curl", ("curl", "-sS", "-C", "-", "-o")), ("wget", ("wget", "-q", f"--ca-certificate={fresh_gate.bundle}", "-c", "-O"))):
        out = tmp_path / name
        out.write_bytes(data[:1_234_567])
        run = clients.run(*command, out, link)
        assert run.ok and out.read_bytes() == data, run.output


# protocols that would go around the gate

def test_nothing_but_http_1_1_and_no_alt_svc(clients, world, tmp_path):
    """The hub offers h2 by ALPN and HTTP/3 by Alt-Svc, curl asks for HTTP/2: it gets HTTP/1.1, and hears of nothing else."""
    direct = http.client.HTTPSConnection("127.0.0.1", world.hub.port, context=world.hub.trust, timeout=30)
    direct.request("GET", "/demo/clean")
    assert "h3" in direct.getresponse().headers["Alt-Svc"]
    direct.close()
    for path in ("demo/clean", "front/app.js", "api/models/demo/clean", "demo/clean/resolve/main/README.md", "demo/clean/resolve/main/model.safetensors"):
        run = clients.run("curl", "-sS", "--http2", "-D", tmp_path / "head", "-o", "/dev/null", "-w", "%{http_code} %{http_version}", f"https://hub.test/{path}",
                          "-L", "-H", "Authorization: Bearer hf_alice")
        head = (tmp_path / "head").read_text().lower()
        assert run.output == "200 1.1", (path, run.output)
        assert "alt-svc" not in head and "upgrade:" not in head, head


def test_http_2_prior_knowledge_is_refused(gate, world):
    with inside(gate, world) as stream:
        stream.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0")
        answer = stream.recv(4096)
    assert answer.startswith(b"HTTP/1.1 400"), answer


def test_a_client_that_speaks_h2_alone_gets_no_connection(gate, world):
    context = ssl.create_default_context(cafile=str(gate.bundle))
    context.set_alpn_protocols(["h2"])
    sock = socket.create_connection(("127.0.0.1", gate.proxy_port), timeout=60)
    sock.sendall(b"CONNECT hub.test:443 HTTP/1.1\r\nHost: hub.test:443\r\n\r\n")
    assert sock.recv(4096).startswith(b"HTTP/1.1 200")
    with context.wrap_socket(sock, server_hostname="hub.test") as stream:
        assert stream.selected_alpn_protocol() is None


@pytest.mark.parametrize("upgrade", ["websocket", "h2c, websocket", "HTTP/2.0", "TLS/1.3"])
def test_websocket_and_its_like(gate, world, upgrade):
    with inside(gate, world) as stream:
        answer = ask(stream, f"GET /api/models/demo/clean HTTP/1.1\nHost: hub.test\nConnection: close, upgrade\nUpgrade: {upgrade}\n"
                             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\nSec-WebSocket-Version: 13\n\n")
    assert answer.startswith(b"HTTP/1.1 403") and b"101" not in answer[:12], answer


# clients that do not trust the authority, or pin another key

REQUESTS = "import requests; requests.get('https://hub.test/api/models/demo/clean')"
HTTPX = "import huggingface_hub; huggingface_hub.HfApi().model_info('demo/clean')"
NODE = ("const { EnvHttpProxyAgent, setGlobalDispatcher } = await import('undici'); setGlobalDispatcher(new EnvHttpProxyAgent());"
        "try { await fetch('https://hub.test/api/models/demo/clean'); } catch (error) { console.error(String(error.cause)); process.exit(1); }")
OTHER_PIN = "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="


@pytest.mark.parametrize("name, command, trust, told, logged", [
    ("curl", ["curl", "-sS", "https://hub.test/"], False, "unable to get local issuer certificate", "unknown ca"),
    ("curl-pinned", ["curl", "-sS", "--pinnedpubkey", OTHER_PIN, "https://hub.test/"], True, "public key does not match pinned public key", "after the handshake"),
    ("requests", [SYSTEM_PYTHON, "-c", REQUESTS], False, "CERTIFICATE_VERIFY_FAILED", "unknown ca"),
    ("httpx", [PYTHON, "-c", HTTPX], False, "CERTIFICATE_VERIFY_FAILED", "unknown ca"),
    ("git", ["git", "ls-remote", "https://hub.test/demo/clean"], False, "certificate", ""),
    ("node", ["node", "--input-type=module", "-e", NODE], False, "unable to verify the first certificate", "")])
def test_who_does_not_trust_the_authority(gate, world, tmp_path, name, command, trust, told, logged):
    """Its own message names the certificate; the audit log says which client it was, and what it did."""
    before = len(failures(gate))
    upstream = str(world.certificates / "ca.pem")
    distrust = {} if trust else {"SSL_CERT_FILE": upstream, "CURL_CA_BUNDLE": upstream, "REQUESTS_CA_BUNDLE": upstream, "GIT_SSL_CAINFO": upstream}
    run = gate.clients(tmp_path / "home", trust=trust, **distrust).run(*command, cwd=WORK / "js")
    assert not run.ok and told in run.output, run.output
    assert gate.wait_for(lambda: len(failures(gate)) > before)
    line = failures(gate)[-1]
    assert line["host"] == "hub.test" and logged in line["reason"] and "ca check" in line["advice"], line


def failures(gate):
    return [line for line in gate.audit_lines() if line["event"] == "client-tls-failed"]


# more of the real clients

def test_javascript_snapshot_and_upload(clients, samples, tmp_path):
    run = clients.js_snapshot("demo/clean", tmp_path / "cache")
    assert run.ok, run.output
    assert tree_of(Path(run.output.strip().splitlines()[-1])) == with_attributes(samples["demo/clean"])
    assert_refused(clients.js_snapshot("demo/poisoned-pickle", tmp_path / "bad"), "model.pkl")
    weights = tmp_path / "new.safetensors"
    weights.write_bytes(safetensors({"through-the-proxy": 1000}))
    run = clients.js_upload("demo/js-through-the-proxy", weights)
    assert run.ok, run.output
    run = clients.js_file("demo/js-through-the-proxy", weights.name, tmp_path / "back")
    assert run.ok and (tmp_path / "back").read_bytes() == weights.read_bytes(), run.output


def test_datasets(clients, samples, tmp_path):
    run = clients.python("""
        import datasets
        print(sum(row["id"] for row in datasets.load_dataset("demo/clean-data")["train"]))
        streamed = datasets.load_dataset("demo/clean-data", split="train", streaming=True)
        print(sum(row["id"] for row in streamed))
    """)
    assert run.ok and run.output.split()[-2:] == [str(sum(range(100)))] * 2, run.output
    run = clients.python("import datasets; datasets.load_dataset('demo/poisoned-data', data_files='test.csv')")
    assert_refused(run, "test.csv")


def test_hf_xet(tmp_path):
    """Both directions over Xet, a real CAS behind the hub; what one gate lets in another refuses."""
    world = World(tmp_path / "world", "--no-samples", "--cas", str(CAS))
    gates = []
    try:
        files = {"model.safetensors": safetensors({"a": 700_000}), "model.pkl": pickle_of(call("os", "system", COMMAND), 2)}
        (tmp_path / "up").mkdir()
        for name, data in files.items():
            (tmp_path / "up" / name).write_bytes(data)
        upload = f"""
            import huggingface_hub
            huggingface_hub.create_repo("alice/xet", exist_ok=True)
            huggingface_hub.upload_folder(repo_id="alice/xet", folder_path={str(tmp_path / "up")!r})
        """
        for name, top in (("records", "xet: terminate\npolicy: audit\n"), ("blocks", "xet: terminate\n")):
            gates.append(ProxyGate(tmp_path / name, world, top=top))
        run = gates[0].clients(tmp_path / "home").python(upload)
        assert run.ok, run.output
        assert any(record["path"].endswith("/v2/shards") for record in world.hub.log())
        clients = gates[1].clients(tmp_path / "second")
        run = clients.hub_download("alice/xet", "model.safetensors", tmp_path / "out")
        assert run.ok and (tmp_path / "out").read_bytes() == files["model.safetensors"], run.output
        assert any("/reconstructions/" in record["path"] for record in world.hub.log())
        assert_refused(clients.hub_download("alice/xet", "model.pkl", tmp_path / "bad"), "model.pkl")
        run = clients.python(upload.replace("alice/xet", "alice/other"))
        assert not run.ok and "hubgate: blocked model.pkl: pickle-dangerous-call: os.system" in run.output, run.output
        assert any(line.get("decision") == "block" and line["direction"] == "push" for line in gates[1].audit_lines())
    finally:
        for gate in gates:
            gate.stop()
        world.stop()


def test_the_cache_serves_others_than_python_when_the_hub_is_away(tmp_path, samples):
    world = World(tmp_path / "world")
    gate = ProxyGate(tmp_path / "gate", world, top="cache: {size: 1GiB, offline: true}\n")
    try:
        for home, away in (("online", False), ("offline", True)):
            if away:
                world.hub.stop()
            clients = gate.clients(tmp_path / home)
            out = tmp_path / f"{home}.out"
            assert clients.js_file("demo/clean", "model.safetensors", out).ok
            assert out.read_bytes() == samples["demo/clean"]["model.safetensors"]
            run = clients.rust_file("demo/clean", "model.safetensors")
            assert run.ok and Path(run.output.strip().splitlines()[-1]).read_bytes() == out.read_bytes(), run.output
            run = clients.curl("demo/clean/resolve/main/model.safetensors", out)
            assert "status 200" in run.output and out.read_bytes() == samples["demo/clean"]["model.safetensors"], run.output
            run = clients.js_file("demo/poisoned-pickle", "model.pkl", tmp_path / "bad")
            assert not run.ok and "hubgate: " in run.output, run.output  # such bytes are never kept
    finally:
        gate.stop()
        world.stop()


def test_rust_snapshot(clients, samples):
    run = clients.rust_snapshot("demo/clean")
    assert run.ok, run.output
    assert_refused(clients.rust_snapshot("demo/poisoned-torch"), "pytorch_model.bin")


# the hub's pages, as far as a browser is not needed

def test_pages_and_their_parts(gate, clients, world, tmp_path):
    for path, body in [("demo/clean", page("demo/clean"))] + [(f"front/{name}", data) for name, (_, data) in PARTS.items()]:
        run = clients.run("curl", "-sS", "-D", tmp_path / "head", "-o", tmp_path / "out", "-w", "%{http_code}", f"https://hub.test/{path}")
        assert run.output == "200" and (tmp_path / "out").read_bytes() == body, run.output
        head = (tmp_path / "head").read_text()
        assert "sandbox" not in head  # it is the hub's own origin, under the hub's own rules
        assert "object-src 'none'" in head or path != "demo/clean"
    # In the gate's own origin nothing of them runs, and what is no page does not pass.
    assert gate.get("/demo/clean").headers["Content-Security-Policy"] == "sandbox"
    assert gate.get("/front/app.js").status == 403


def test_a_refusal_to_a_browser_is_a_page(gate, clients, tmp_path):
    browser = ("-H", "Accept: text/html,application/xhtml+xml,*/*;q=0.8")
    run = clients.curl("demo/poisoned-pickle/resolve/main/model.pkl?x=%3Cscript%3Ealert(1)%3C/script%3E", tmp_path / "out", *browser, "-D", str(tmp_path / "head"))
    page_text, head = (tmp_path / "out").read_text(), (tmp_path / "head").read_text()
    assert "status 403" in run.output and "content-type: text/html" in head.lower()
    assert "default-src 'none'; frame-ancestors 'none'; sandbox" in head and "nosniff" in head
    assert page_text.startswith("<!doctype html>") and "os.system" in page_text and "<script" not in page_text
    assert "&#39;" in page_text or "&quot;" in page_text  # evidence has quotes in it
