"""The gate as HTTPS_PROXY: real clients reach a hub under its own name, through interception.

The hub stand-in speaks TLS with a certificate of a test authority and calls itself hub.test; the gate
knows its address from `resolve:`, the clients only know the proxy."""
import base64
import hashlib
import http.client
import json
import os
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time

import pytest

from clients import HF, TOKEN, WORK, Clients, tree_of
from gate import HUBGATE, Gate, free_port, hubgate
from hub.client import TESTS
from hub.samples import COMMAND
from servers import wait_for_port
from test_pull_clean import with_attributes
from test_pull_poisoned import assert_harmless, assert_refused

PASSWORD = "secret of alice"
SYSTEM_PYTHON = "/usr/bin/python3"


def make_certificates(folder):
    """An authority and a certificate by it for the names of this test."""
    folder.mkdir(parents=True)
    names = "DNS:hub.test,DNS:cdn.hub.test,DNS:other.test,DNS:second.test"
    (folder / "names").write_text(f"subjectAltName={names}\n")
    for command in (
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=upstream",
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout hub.key -out hub.csr -subj /CN=hub.test",
            "x509 -req -in hub.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out hub.pem"):
        subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True)
    return folder


class NamedHub:
    """The stand-in as https://hub.test, and as https://cdn.hub.test."""

    def __init__(self, folder, certificates, *options):
        self.port, self.cdn_port = free_port(), free_port()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hub", "--root", str(folder / "root"), "--port", str(self.port), "--cdn-port", str(self.cdn_port),
             "--tls-cert", str(certificates / "hub.pem"), "--tls-key", str(certificates / "hub.key"),
             "--known-as", "https://hub.test", "https://cdn.hub.test", *options], cwd=TESTS, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline().startswith("hub https://hub.test"), "the hub did not start"
        self.trust = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
        self.trust.check_hostname = False

    def control(self, path, method="GET", value=None):
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=self.trust, timeout=30)
        connection.request(method, f"/_hub/{path}", json.dumps(value) if value is not None else None)
        answer = connection.getresponse().read()
        connection.close()
        return json.loads(answer)

    def log(self):
        return self.control("log")

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


class Other:
    """A server that is nobody's hub: TLS with the test's certificate; says what it was asked."""

    def __init__(self, certificates):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates / "hub.pem", certificates / "hub.key")
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.context = context
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                plain, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(plain,), daemon=True).start()

    def serve(self, plain):
        try:
            with self.context.wrap_socket(plain, server_side=True) as stream:
                data = b""
                while b"\r\n\r\n" not in data:
                    data += stream.recv(65536)
                body = b"other: " + data.split(b"\r\n")[0]
                stream.sendall(b"HTTP/1.1 200 OK\r\nAlt-Svc: h3=\":443\"\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(body), body))
        except OSError:
            pass

    def stop(self):
        self.listener.close()


class World:
    """Hub, another server, and what gates are told of them."""

    def __init__(self, folder, *options):
        self.certificates = make_certificates(folder / "certificates")
        self.hub = NamedHub(folder, self.certificates, *options)
        self.other = Other(self.certificates)

    def config(self, proxy="", top=""):
        return ("upstream: https://hub.test\n"
                f"tls: {{upstream_ca: {self.certificates}/ca.pem}}\n"
                "follow: [cdn.hub.test]\n"
                f"resolve:\n  hub.test: 127.0.0.1:{self.hub.port}\n  cdn.hub.test: 127.0.0.1:{self.hub.cdn_port}\n"
                f"  other.test: 127.0.0.1:{self.other.port}\n  second.test: 127.0.0.1:{self.hub.port}\n"
                f"git: {{packs: pass}}\n{top}"
                f"proxy:\n  intercept: [cdn.hub.test]\n{proxy}")

    def stop(self):
        self.hub.stop()
        self.other.stop()


class ProxyGate(Gate):
    """A gate with a forward proxy; `bundle`: what clients trust, its authority and the other server's."""

    def __init__(self, folder, world, proxy="", top="", **texts):
        self.proxy_port = free_port()
        super().__init__(folder, "https://hub.test", "--proxy", f"127.0.0.1:{self.proxy_port}",
                         config=world.config(proxy, top), **texts)
        self.proxy = f"http://127.0.0.1:{self.proxy_port}"
        self.authority = self.data / "ca/ca.pem"
        self.bundle = folder / "bundle.pem"
        self.bundle.write_text(self.authority.read_text() + (world.certificates / "ca.pem").read_text())

    def clients(self, home, proxy="", trust=True, **environment):
        trusted = {name: str(self.bundle) for name in ("SSL_CERT_FILE", "GIT_SSL_CAINFO", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE",
                                                       "NODE_EXTRA_CA_CERTS")} if trust else {}
        return Clients("https://hub.test", home, HTTPS_PROXY=proxy or self.proxy, https_proxy=proxy or self.proxy,
                       **trusted, **environment)

    def connect(self, target, *lines, then=b""):
        """One request to the proxy as it stands; status, head and what follows."""
        with socket.create_connection(("127.0.0.1", self.proxy_port), timeout=30) as sock:
            head = f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n" + "".join(f"{line}\r\n" for line in lines)
            sock.sendall(head.encode() + b"\r\n" + then)
            sock.shutdown(socket.SHUT_WR)
            return read_all(sock)

    def decisions(self, rule):
        return [line for line in self.audit_lines() if line.get("rule") == rule]

    def wait_for(self, what):
        """Something that is written after the client has its answer."""
        deadline = time.monotonic() + 20
        while not what() and time.monotonic() < deadline:
            time.sleep(0.05)
        return what()


def read_all(sock):
    data = b""
    try:
        while piece := sock.recv(65536):
            data += piece
    except ConnectionError:
        pass
    return data


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
def make_gate(world, tmp_path):
    gates = []

    def make(**texts):
        gates.append(ProxyGate(tmp_path / f"gate{len(gates)}", world, **texts))
        return gates[-1]

    yield make
    for made in gates:
        made.stop()


@pytest.fixture
def clients(gate, tmp_path):
    return gate.clients(tmp_path / "home")


# every client, clean and poisoned

def test_huggingface_hub(clients, samples, tmp_path):
    run = clients.python(f"""
        import huggingface_hub
        huggingface_hub.snapshot_download("demo/clean", local_dir={str(tmp_path / "out")!r})
    """)
    assert run.ok, run.output
    assert tree_of(tmp_path / "out") == with_attributes(samples["demo/clean"])
    run = clients.hub_download("demo/poisoned-pickle", "model.pkl", tmp_path / "bad")
    assert_refused(run, "model.pkl")
    assert_harmless(clients.home, samples, "demo/poisoned-pickle", "model.pkl")


def test_hf_command(clients, samples, tmp_path):
    run = clients.run(HF, "download", "demo/clean", "--local-dir", tmp_path / "out")
    assert run.ok, run.output
    assert tree_of(tmp_path / "out") == with_attributes(samples["demo/clean"])
    run = clients.run(HF, "download", "demo/poisoned-torch", "--local-dir", tmp_path / "bad")
    assert_refused(run, "pytorch_model.bin")


def test_upload(clients, tmp_path):
    (tmp_path / "weights.bin").write_bytes(b"\0" * 100_000)
    run = clients.python(f"""
        import huggingface_hub
        huggingface_hub.create_repo("demo/through-the-proxy")
        huggingface_hub.upload_file(path_or_fileobj=open({str(tmp_path / "weights.bin")!r}, "rb"), path_in_repo="README.md",
                                    repo_id="demo/through-the-proxy")
    """)
    assert run.ok, run.output


def test_requests(clients, samples, tmp_path):
    script = """
import sys, requests
answer = requests.get(sys.argv[1], headers={"Authorization": "Bearer hf_alice"})
sys.stdout.buffer.write(answer.content)
sys.exit(answer.status_code != 200)
"""
    for repo, path, ok in (("demo/clean", "model.safetensors", True), ("demo/poisoned-pickle", "model.pkl", False)):
        done = subprocess.run([SYSTEM_PYTHON, "-c", script, f"https://hub.test/{repo}/resolve/main/{path}"], env=clients.environment,
                              capture_output=True, check=False, timeout=120)
        if ok:
            assert done.stdout == samples[repo][path], done.stderr.decode()
        else:
            assert b"hubgate: " in done.stdout and b"os.system" in done.stdout and done.returncode == 1


def test_curl(clients, samples, tmp_path):
    run = clients.curl("demo/clean/resolve/main/model.safetensors", tmp_path / "out")
    assert "status 200" in run.output, run.output
    assert (tmp_path / "out").read_bytes() == samples["demo/clean"]["model.safetensors"]
    run = clients.curl("demo/poisoned-pickle/resolve/main/model.pkl", tmp_path / "bad")
    assert "status 403" in run.output
    assert "os.system" in (tmp_path / "bad").read_text()


def test_wget(clients, gate, samples, tmp_path):
    wget = ("wget", "-q", f"--ca-certificate={gate.bundle}", "--header", f"Authorization: Bearer {TOKEN}")
    run = clients.run(*wget, "-O", tmp_path / "out", "https://hub.test/demo/clean/resolve/main/model.safetensors")
    assert run.ok, run.output
    assert (tmp_path / "out").read_bytes() == samples["demo/clean"]["model.safetensors"]
    run = clients.run(*wget, "--content-on-error", "-O", tmp_path / "bad", "https://hub.test/demo/poisoned-pickle/resolve/main/model.pkl")
    assert not run.ok
    assert "os.system" in (tmp_path / "bad").read_text()


def test_git_and_lfs(clients, samples, tmp_path):
    run = clients.git_clone("demo/clean", tmp_path / "out")
    assert run.ok, run.output
    assert tree_of(tmp_path / "out") == with_attributes(samples["demo/clean"])
    run = clients.git_clone("demo/poisoned-pickle", tmp_path / "bad", "-c", "lfs.transfer.maxretries=1")
    assert_refused(run, "model.pkl")


def test_node(clients, samples, tmp_path):
    run = clients.js_file("demo/clean", "model.safetensors", tmp_path / "out")
    assert run.ok, run.output
    assert (tmp_path / "out").read_bytes() == samples["demo/clean"]["model.safetensors"]
    run = clients.js_file("demo/poisoned-pickle", "model.pkl", tmp_path / "bad")
    assert_refused(run, "model.pkl")


def test_rust(clients, samples):
    run = clients.rust_file("demo/clean", "model.safetensors")
    assert run.ok, run.output
    assert open(run.output.strip().splitlines()[-1], "rb").read() == samples["demo/clean"]["model.safetensors"]
    run = clients.rust_file("demo/poisoned-pickle", "model.pkl")
    assert_refused(run, "model.pkl")


# what is asked inside

def inside(gate, world, connect="hub.test", name=None, trust=None):
    """A TLS connection through the proxy: CONNECT to one host, TLS to another perhaps."""
    sock = socket.create_connection(("127.0.0.1", gate.proxy_port), timeout=60)
    sock.sendall(f"CONNECT {connect}:443 HTTP/1.1\r\nHost: {connect}:443\r\n\r\n".encode())
    head = b""
    while b"\r\n\r\n" not in head:
        piece = sock.recv(1)
        assert piece, head
        head += piece
    assert head.startswith(b"HTTP/1.1 200"), head
    context = ssl.create_default_context(cafile=str(trust or gate.bundle))
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context.wrap_socket(sock, server_hostname=name or connect)


def ask(stream, text):
    stream.sendall(text.replace("\n", "\r\n").encode())
    return read_all(stream)


def test_certificate_and_alpn(gate, world):
    with inside(gate, world) as stream:
        certificate = stream.getpeercert()
        assert certificate["subjectAltName"] == (("DNS", "hub.test"),)
        assert stream.selected_alpn_protocol() == "http/1.1"
        life = ssl.cert_time_to_seconds(certificate["notAfter"]) - time.time()
        assert 3600 < life < 2 * 86400


def test_host_field_must_agree(gate, world):
    with inside(gate, world) as stream:
        answer = ask(stream, "GET /api/models/demo/clean HTTP/1.1\nHost: second.test\n\n")
    assert answer.startswith(b"HTTP/1.1 421"), answer
    assert gate.wait_for(lambda: gate.decisions("host-mismatch"))


@pytest.mark.parametrize("upgrade, status", [("websocket", 403), ("h2c", 200), ("unheard-of", 403)])
def test_upgrades(gate, world, upgrade, status):
    with inside(gate, world) as stream:
        answer = ask(stream, f"GET /api/models/demo/clean HTTP/1.1\nHost: hub.test\nConnection: close, upgrade\nUpgrade: {upgrade}\n\n")
    assert answer.startswith(b"HTTP/1.1 %d" % status), answer


def test_absolute_form_inside(gate, world):
    with inside(gate, world) as stream:
        answer = ask(stream, "GET https://hub.test/api/models/demo/clean HTTP/1.1\nHost: hub.test\n\n")
    assert answer.startswith(b"HTTP/1.1 400")


def signed_link(gate, world, repo, path):
    """Where the hub sends clients that ask it directly."""
    connection = http.client.HTTPSConnection("127.0.0.1", world.hub.port, context=world.hub.trust, timeout=30)
    connection.request("GET", f"/{repo}/resolve/main/{path}", headers={"Authorization": f"Bearer {TOKEN}"})
    location = connection.getresponse().headers["Location"]
    connection.close()
    return location


def test_signed_links_are_scanned(gate, world, clients, samples, tmp_path):
    link = signed_link(gate, world, "demo/clean", "model.safetensors")
    assert link.startswith("https://cdn.hub.test/")
    run = clients.run("curl", "-sS", "-o", tmp_path / "out", "-w", "%{http_code}", link)
    assert run.output == "200", run.output
    assert (tmp_path / "out").read_bytes() == samples["demo/clean"]["model.safetensors"]
    link = signed_link(gate, world, "demo/poisoned-pickle", "model.pkl")
    run = clients.run("curl", "-sS", "-w", "%{http_code}", link)
    assert run.output.endswith("403") and "os.system" in run.output, run.output


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
def test_uploads_beside_the_hub_are_refused(gate, world, clients, method):
    run = clients.run("curl", "-sS", "-X", method, "--data-binary", "x", "-w", "%{http_code}", "https://cdn.hub.test/some/object")
    assert run.output.endswith("403"), run.output
    assert not any(record["method"] == method for record in world.hub.log() if record["role"] == "cdn")


def test_a_link_of_the_gate_works_through_the_proxy(clients, gate):
    """LFS links name the hub's own host, and pass the proxy again."""
    run = clients.run("curl", "-sS", "-X", "POST", "-H", f"Authorization: Bearer {TOKEN}", "-H", "Content-Type: application/vnd.git-lfs+json",
                      "--data", json.dumps({"operation": "download", "objects": lfs_objects(clients)}),
                      "https://hub.test/demo/clean.git/info/lfs/objects/batch")
    href = json.loads(run.output)["objects"][0]["actions"]["download"]["href"]
    assert href.startswith("https://hub.test/_hubgate/lfs/"), href


def lfs_objects(clients):
    run = clients.run("curl", "-sS", "-H", f"Authorization: Bearer {TOKEN}", "https://hub.test/api/models/demo/clean/tree/main")
    return [{"oid": entry["lfs"]["oid"], "size": entry["lfs"]["size"]} for entry in json.loads(run.output) if "lfs" in entry]


# tunnels and refusals

def test_other_hosts_are_tunnelled_untouched(clients, gate, world):
    run = clients.run("curl", "-sSi", "https://other.test/something?x=1")
    assert run.output.endswith("other: GET /something?x=1 HTTP/1.1"), run.output
    assert "Alt-Svc" in run.output  # nothing was changed on the way
    with inside(gate, world, "other.test") as stream:
        assert dict(field[0] for field in stream.getpeercert()["issuer"])["commonName"] == "upstream"


def test_others_refused(make_gate, tmp_path):
    gate = make_gate(proxy="  default: refuse\n  tunnel: [second.test]\n")
    clients = gate.clients(tmp_path / "home")
    run = clients.run("curl", "-sSv", "https://other.test/")
    assert not run.ok and "403" in run.output and "lets nobody through to other.test" in run.output, run.output
    assert gate.connect("second.test:443").startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("target", ["127.0.0.1:443", "localhost:443", "169.254.169.254:443", "10.0.0.1:443", "192.168.0.1:443", "[::1]:443",
                                    "[::ffff:127.0.0.1]:443", "[fd00:ec2::254]:443", "0.0.0.0:443", "100.100.100.200:443"])
def test_internal_addresses(gate, target):
    answer = gate.connect(target)
    assert answer.startswith(b"HTTP/1.1 403") and b"internal address" in answer, answer


@pytest.mark.parametrize("target, status", [
    ("hub.test:22", 403), ("hub.test:80", 403), ("other.test:25", 403), ("hub.test", 400), ("hub.test:0", 400), ("hub.test:99999", 400),
    ("2130706433:443", 400), ("127.1:443", 400), ("0x7f000001:443", 400), ("user@hub.test:443", 400), ("hub.test:443/", 400),
    ("https://hub.test:443", 400), ("nowhere.invalid:443", 502)])
def test_targets(gate, target, status):
    assert gate.connect(target).startswith(b"HTTP/1.1 %d" % status)


def test_networks_of_ones_own_are_reached_when_configured(make_gate, world):
    gate = make_gate(proxy=f"  reach: [127.0.0.0/8]\n  ports: [443, {world.other.port}]\n")
    assert gate.connect(f"127.0.0.1:{world.other.port}").startswith(b"HTTP/1.1 200")
    assert gate.connect("169.254.169.254:443").startswith(b"HTTP/1.1 403")


@pytest.mark.parametrize("head", ["GET http://hub.test/ HTTP/1.1\r\nHost: hub.test\r\n\r\n", "GET http://169.254.169.254/latest HTTP/1.1\r\nHost: x\r\n\r\n",
                                  "POST http://other.test/ HTTP/1.1\r\nHost: other.test\r\nContent-Length: 0\r\n\r\n", "GET / HTTP/1.1\r\nHost: hub.test\r\n\r\n"])
def test_plain_http_is_refused(gate, head):
    with socket.create_connection(("127.0.0.1", gate.proxy_port), timeout=30) as sock:
        sock.sendall(head.encode())
        answer = read_all(sock)
    assert answer.startswith(b"HTTP/1.1 403") and b"plain http" in answer


@pytest.mark.parametrize("head", ["CONNECT hub.test:443 HTTP/1.1\r\nHost: other.test:443\r\n\r\n",
                                  "CONNECT hub.test:443 HTTP/1.1\r\nHost: other.test\r\n\r\n",
                                  "CONNECT hub.test:443 HTTP/1.1\r\nHost: hub.test:80\r\n\r\n", "CONNECT hub.test:443 HTTP/1.1\r\n\r\n",
                                  "CONNECT hub.test:443 HTTP/1.1\r\nHost: hub.test:443\r\nContent-Length: 5\r\n\r\nhello",
                                  "CONNECT hub.test:443 HTTP/1.1\nHost: hub.test:443\n\n"])
def test_connect_is_read_in_one_way(gate, head):
    with socket.create_connection(("127.0.0.1", gate.proxy_port), timeout=30) as sock:
        sock.sendall(head.encode())
        assert read_all(sock).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize("connect, name", [("hub.test", "other.test"), ("other.test", "hub.test"), ("other.test", "second.test")])
def test_server_name_must_agree(gate, world, connect, name):
    before = len(gate.decisions("server-name"))
    with pytest.raises(ssl.SSLError, match="(?i)unrecognized.name"):
        inside(gate, world, connect, name)
    assert gate.wait_for(lambda: len(gate.decisions("server-name")) > before)
    line = gate.decisions("server-name")[-1]
    assert connect in line["reason"] and name in line["reason"]


@pytest.mark.parametrize("connect", ["hub.test", "other.test"])
def test_only_tls_passes(gate, connect):
    before = len(gate.decisions("no-tls"))
    answer = gate.connect(f"{connect}:443", then=b"GET / HTTP/1.1\r\nHost: hub.test\r\n\r\n")
    assert answer.endswith(b"established\r\n\r\n"), answer
    assert gate.wait_for(lambda: len(gate.decisions("no-tls")) > before)


def test_a_client_that_does_not_trust_the_authority(gate, tmp_path, world):
    run = gate.clients(tmp_path / "home", trust=False, CURL_CA_BUNDLE=str(world.certificates / "ca.pem")).run("curl", "-sS", "https://hub.test/")
    assert not run.ok and "certificate" in run.output, run.output
    # Other tests leave connections of their own behind.
    events = gate.wait_for(lambda: [line for line in gate.audit_lines() if line["event"] == "client-tls-failed" and "unknown ca" in line["reason"]])
    assert events[0]["host"] == "hub.test" and events[0]["client"].startswith("curl/"), events
    assert "ca check" in events[0]["advice"]


# who asks

def hash_of(password):
    return subprocess.run(["openssl", "passwd", "-6", "-stdin"], input=password, capture_output=True, text=True, check=True).stdout.strip()


def test_users_from_a_file(make_gate, samples, tmp_path):
    users = tmp_path / "users"
    users.write_text(f"# who may\nalice:{hash_of(PASSWORD)}:research,staff\n")
    gate = make_gate(proxy=f"  auth: {{users: {users}}}\n")
    port = gate.proxy_port
    assert gate.connect("hub.test:443").startswith(b"HTTP/1.1 407")
    wrong = base64.b64encode(b"alice:guessed").decode()
    assert gate.connect("hub.test:443", f"Proxy-Authorization: Basic {wrong}").startswith(b"HTTP/1.1 407")
    clients = gate.clients(tmp_path / "home", proxy=f"http://alice:{PASSWORD.replace(' ', '%20')}@127.0.0.1:{port}")
    run = clients.hub_download("demo/clean", "model.safetensors", tmp_path / "out")
    assert run.ok, run.output
    assert (tmp_path / "out").read_bytes() == samples["demo/clean"]["model.safetensors"]
    run = clients.git_clone("demo/clean", tmp_path / "clone")
    assert run.ok, run.output
    assert not clients.hub_download("demo/poisoned-pickle", "model.pkl", tmp_path / "bad").ok
    decision = [line for line in gate.audit_lines() if line.get("path") == "model.pkl"][-1]
    assert decision["who"] == "alice"
    everything = gate.log.read_text() + "".join(map(json.dumps, gate.audit_lines()))
    assert PASSWORD not in everything and base64.b64encode(f"alice:{PASSWORD}".encode()).decode() not in everything
    # who is taken out of the file is out
    users.write_text(f"bob:{hash_of('x')}\n")
    os.utime(users, (time.time() + 5, time.time() + 5))
    fresh = base64.b64encode(b"bob:x").decode()
    assert gate.connect("hub.test:443", f"Proxy-Authorization: Basic {fresh}").startswith(b"HTTP/1.1 200")


def test_groups_reach_the_policy(make_gate, tmp_path):
    users = tmp_path / "users"
    users.write_text(f"alice:{hash_of(PASSWORD)}:research\nbob:{hash_of(PASSWORD)}\n")
    policy = ("version: 1\nrules:\n"
              "  - {id: not-for-research, match: {group: research, path: README.md}, action: block}\n"
              "  - {id: others, match: {}, action: allow}\n")
    gate = make_gate(proxy=f"  auth: {{users: {users}}}\n", policy=policy)
    for name, status in (("alice", "403"), ("bob", "200")):
        clients = gate.clients(tmp_path / name, proxy=f"http://{name}:{PASSWORD.replace(' ', '%20')}@127.0.0.1:{gate.proxy_port}")
        run = clients.curl("demo/clean/resolve/main/README.md", tmp_path / "out")
        assert f"status {status}" in run.output, run.output


def test_helper(make_gate):
    script = ("import sys, urllib.parse\n"
              "for line in sys.stdin:\n"
              "    name, password = map(urllib.parse.unquote, line.split())\n"
              "    print('OK group=staff' if (name, password) == ('carol', 'a b%') else 'ERR', flush=True)\n")
    gate = make_gate(proxy=f"  auth:\n    helper: [{sys.executable}, -c, {json.dumps(script)}]\n")
    for text, status in ((b"carol:a b%", 200), (b"carol:other", 407), (b"carol:a b%", 200)):
        value = base64.b64encode(text).decode()
        assert gate.connect("hub.test:443", f"Proxy-Authorization: Basic {value}").startswith(b"HTTP/1.1 %d" % status)


def test_proxy_protocol(make_gate):
    gate = make_gate(top="proxy_protocol: [127.0.0.1]\n")
    binary = b"\r\n\r\n\0\r\nQUIT\n\x21\x11" + struct.pack(">H", 12) + socket.inet_aton("203.0.113.9") + bytes(4) + struct.pack(">HH", 1, 2)
    for header, client in ((b"PROXY TCP4 203.0.113.7 127.0.0.1 1 2\r\n", "203.0.113.7"), (binary, "203.0.113.9")):
        with socket.create_connection(("127.0.0.1", gate.proxy_port), timeout=30) as sock:
            sock.sendall(header + b"CONNECT 127.0.0.1:443 HTTP/1.1\r\nHost: 127.0.0.1:443\r\n\r\n")
            assert read_all(sock).startswith(b"HTTP/1.1 403")
        assert gate.decisions("internal-address")[-1]["from"] == client
    assert gate.connect("hub.test:443") == b""  # no header: not understood
    with socket.create_connection(("127.0.0.1", gate.port), timeout=30) as sock:  # the endpoint too
        sock.sendall(b"PROXY TCP4 203.0.113.7 127.0.0.1 1 2\r\nGET /api/models/demo/clean HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert read_all(sock).startswith(b"HTTP/1.1 200")


# the way out

def test_the_gates_own_proxy(make_gate, world, samples, tmp_path):
    """A second gate that tunnels everything is the proxy of the first; it wants a password."""
    users = tmp_path / "users"
    users.write_text(f"gate:{hash_of('p w')}\n")
    outer = make_gate(proxy=f"  auth: {{users: {users}}}\n")
    # to the outer one the same server is second.test too, and that name it does not open
    config = world.config().replace(f"  second.test: 127.0.0.1:{world.hub.port}\n", "").split("proxy:\n")[0]
    folder = tmp_path / "inner"
    inner = Gate(folder, "https://second.test",
                 config=config + f"upstream_proxy: http://gate:p%20w@127.0.0.1:{outer.proxy_port}\n")
    try:
        answer = inner.get("/demo/clean/resolve/main/README.md")
        assert answer.status == 200, answer.text
        assert answer.body == samples["demo/clean"]["README.md"]
        assert "p w" not in inner.log.read_text()
    finally:
        inner.stop()


def test_an_upstream_with_a_wrong_certificate_is_named(make_gate, tmp_path):
    gate = make_gate(top="")
    config = (gate.folder / "hubgate.yaml").read_text()
    lines = [line for line in config.splitlines() if not line.startswith("tls:")]
    (gate.folder / "hubgate.yaml").write_text("\n".join(lines) + "\n")
    gate.stop()
    gate.start()
    run = gate.clients(tmp_path / "home").run("curl", "-sS", "-w", "%{http_code}", "https://hub.test/api/models/demo/clean")
    assert run.output.endswith("502") and "certificate is not accepted" in run.output, run.output


# hubgate ca

def test_authority_files(gate):
    assert (gate.data / "ca/ca.key").stat().st_mode & 0o777 == 0o600
    run = gate.run("ca", "export")
    assert run.stdout == gate.authority.read_text()
    text = subprocess.run(["openssl", "x509", "-in", gate.authority, "-noout", "-text"], capture_output=True, text=True, check=True).stdout
    assert "DNS:huggingface.co" not in text and "DNS:hub.test" in text and "Name Constraints: critical" in text


def test_rotation_keeps_old_clients(make_gate, tmp_path):
    gate = make_gate()
    config = ("--config", gate.folder / "hubgate.yaml")
    old = gate.authority.read_text()
    run = gate.run("ca", "rotate", *config)
    assert run.returncode == 0, run.stderr
    gate.stop()
    gate.start()
    new = tmp_path / "new.pem"
    assert gate.run("ca", "export", *config, "--out", new).returncode == 0
    assert old in new.read_text() and gate.authority.read_text() in new.read_text()
    assert gate.authority.read_text() != old
    for trusted in (gate.bundle, gate.authority, new):
        with inside(gate, None, trust=trusted) as stream:
            assert ask(stream, "GET /api/models/demo/clean HTTP/1.1\nHost: hub.test\nConnection: close\n\n").startswith(b"HTTP/1.1 200")


def test_an_authority_for_other_hosts_is_not_used(make_gate):
    gate = make_gate()
    gate.stop()
    text = (gate.folder / "hubgate.yaml").read_text()
    (gate.folder / "hubgate.yaml").write_text(text.replace("intercept: [cdn.hub.test]", "intercept: [cdn.hub.test, files.example.org]"))
    with pytest.raises(RuntimeError, match="may not sign for files.example.org.*hubgate ca rotate"):
        gate.start()
    run = gate.run("ca", "rotate", "--config", gate.folder / "hubgate.yaml")
    assert run.returncode == 0, run.stderr
    gate.start()
    assert gate.connect("files.example.org:443").startswith(b"HTTP/1.1 200")


def test_check_of_a_machine(gate, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    arguments = [HUBGATE, "ca", "check", "--ca", str(gate.authority), "--proxy", gate.proxy]
    bare = {"PATH": os.environ["PATH"], "HOME": str(home)}
    run = subprocess.run(arguments, env=bare, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    for remedy in (f"export HTTPS_PROXY={gate.proxy}", "update-ca-certificates", "export SSL_CERT_FILE=", "export NODE_EXTRA_CA_CERTS=",
                   "git config --global http.sslCAInfo"):
        assert remedy in run.stdout, run.stdout
    (home / ".gitconfig").write_text(f"[http]\n\tsslCAInfo = {gate.bundle}\n")
    done = dict(bare, HTTPS_PROXY=gate.proxy, SSL_CERT_FILE=str(gate.bundle), NODE_EXTRA_CA_CERTS=str(gate.authority), NO_PROXY="hf.co")
    run = subprocess.run(arguments, env=done, capture_output=True, text=True, check=False)
    for line in run.stdout.splitlines():
        if line.split()[1].startswith(("Python", "Node", "git")) and "requests" not in line:
            assert line.startswith("ok"), run.stdout
    assert "goes around the gate" in run.stdout
