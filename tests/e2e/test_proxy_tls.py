"""TLS to the proxy itself, clients that it knows by certificate, and what nobody gets to do too often."""
import base64
import shutil
import signal
import subprocess
import time

import pytest

from clients import TOKEN, tree_of
from test_forward import PASSWORD, ProxyGate, World, hash_of
from test_pull_clean import with_attributes
from test_pull_poisoned import assert_refused

POLICY = ("version: 1\nrules:\n"
          "  - {id: not-for-research, match: {group: research, path: README.md}, action: block}\n"
          "  - {id: malicious, match: {verdict: malicious}, action: block}\n"
          "  - {id: others, match: {}, action: allow}\n")
TABLE = """
[ca]
default_ca = people
[people]
database = index.txt
serial = serial
crlnumber = crlnumber
certificate = people.pem
private_key = people.key
default_md = sha256
default_crl_days = 2
"""


def openssl(folder, command):
    subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True)


class People:
    """An authority for people, its certificates, and one that only looks like it."""

    def __init__(self, folder, world):
        self.folder = folder
        key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
        for name in ("people", "strangers"):
            openssl(folder, f"req -x509 {key} -keyout {name}.key -out {name}.pem -days 2 -subj /CN=people")
        for who, subject, by in (("alice", "/CN=alice/OU=research", "people"), ("bob", "/CN=bob", "people"),
                                 ("nobody", "/O=example", "people"), ("mallory", "/CN=alice/OU=research", "strangers")):
            openssl(folder, f"req {key} -keyout {who}.key -out {who}.csr -subj {subject}")
            openssl(folder, f"x509 -req -in {who}.csr -CA {by}.pem -CAkey {by}.key -CAcreateserial -days 2 -out {who}.pem")
        (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
        openssl(folder, f"req {key} -keyout proxy.key -out proxy.csr -subj /CN=proxy")
        openssl(folder, f"x509 -req -in proxy.csr -CA {world.certificates}/ca.pem -CAkey {world.certificates}/ca.key -CAcreateserial "
                        "-days 2 -extfile names -out proxy.pem")
        (folder / "table").write_text(TABLE)
        (folder / "index.txt").write_text("")
        (folder / "crlnumber").write_text("01\n")
        self.list_revoked()

    def list_revoked(self, *people):
        for who in people:
            openssl(self.folder, f"ca -config table -revoke {who}.pem")
        openssl(self.folder, "ca -config table -gencrl -out new.crl")
        (self.folder / "new.crl").replace(self.folder / "people.crl")

    def config(self, more=""):
        return (f"  tls: {{cert: {self.folder}/proxy.pem, key: {self.folder}/proxy.key}}\n  auth:\n"
                f"    certificates: {{ca: {self.folder}/people.pem, crl: {self.folder}/people.crl}}\n{more}")


class SecureGate(ProxyGate):
    def __init__(self, folder, world, people, more="", **texts):
        super().__init__(folder, world, people.config(more), **texts)
        self.people = people
        self.proxy = self.proxy.replace("http://", "https://")

    def curl(self, clients, who, url="https://hub.test/demo/clean/resolve/main/README.md", *options):
        shown = ("--proxy-cert", self.people.folder / f"{who}.pem", "--proxy-key", self.people.folder / f"{who}.key") if who else ()
        return clients.run("curl", "-sS", "-m", "60", "--proxy-cacert", self.bundle, "--cacert", self.bundle, *shown, *options,
                           "-H", f"Authorization: Bearer {TOKEN}", "-w", "\nstatus %{http_code} connect %{http_connect}", url)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    made = World(tmp_path_factory.mktemp("world"))
    yield made
    made.stop()


@pytest.fixture(scope="module")
def people(world, tmp_path_factory):
    return People(tmp_path_factory.mktemp("people"), world)


@pytest.fixture(scope="module")
def gate(world, people, tmp_path_factory):
    made = SecureGate(tmp_path_factory.mktemp("gate"), world, people, policy=POLICY)
    yield made
    made.stop()


@pytest.fixture
def clients(gate, tmp_path):
    return gate.clients(tmp_path / "home")


# client certificates

def test_a_certificate_is_a_user_with_groups(gate, clients, samples):
    run = gate.curl(clients, "bob")
    assert "status 200" in run.output and samples["demo/clean"]["README.md"].decode() in run.output, run.output
    run = gate.curl(clients, "alice")
    assert "status 403" in run.output and "not-for-research" in run.output, run.output
    run = gate.curl(clients, "alice", "https://hub.test/demo/poisoned-pickle/resolve/main/model.pkl")
    assert "status 403" in run.output and "os.system" in run.output
    line = gate.wait_for(lambda: [line for line in gate.audit_lines() if line.get("path") == "model.pkl"])[-1]
    assert line["who"] == "alice"
    run = gate.curl(clients, "bob", "https://other.test/x")
    assert "other: GET /x" in run.output, run.output


def test_who_shows_none_is_told_so(gate, clients):
    for who, reason in ((None, "none was shown"), ("nobody", "no common name")):
        run = gate.curl(clients, who, "https://hub.test/api/models/demo/clean", "-v")
        assert "connect 403" in run.output and reason in run.output, run.output
        assert reason in gate.decisions("proxy-certificate")[-1]["reason"]


def test_strangers_do_not_get_through_the_handshake(gate, clients):
    before = len([line for line in gate.audit_lines() if line.get("event") == "proxy-tls-failed"])
    run = gate.curl(clients, "mallory")
    assert not run.ok and "connect 000" in run.output, run.output
    lines = gate.wait_for(lambda: [line for line in gate.audit_lines() if line.get("event") == "proxy-tls-failed"][before:])
    assert lines and "certificate" in lines[-1]["reason"] and lines[-1]["from"] == "127.0.0.1"


def test_plain_http_to_the_proxy_is_not_understood(gate):
    assert gate.connect("hub.test:443").startswith(b"\x15\x03") or gate.connect("hub.test:443") == b""


def test_python_with_a_certificate(gate, clients, people, samples, tmp_path):
    run = clients.python(f"""
        import ssl, httpx2, huggingface_hub
        trust = ssl.create_default_context(cafile={str(gate.bundle)!r})
        trust.load_cert_chain({str(people.folder / "bob.pem")!r}, {str(people.folder / "bob.key")!r})
        proxy = httpx2.Proxy({gate.proxy!r}, ssl_context=trust)
        huggingface_hub.set_client_factory(lambda: httpx2.Client(proxy=proxy, follow_redirects=True, timeout=None))
        huggingface_hub.snapshot_download("demo/clean", local_dir={str(tmp_path / "out")!r})
    """)
    assert run.ok, run.output
    assert tree_of(tmp_path / "out") == with_attributes(samples["demo/clean"])
    assert any(line.get("who") == "bob" and line.get("client", "").find("hf_hub") >= 0 for line in gate.audit_lines())


def test_git_with_a_certificate(gate, clients, people, samples, tmp_path):
    shown = ("-c", f"http.proxySSLCAInfo={gate.bundle}", "-c", f"http.proxySSLCert={people.folder}/bob.pem",
             "-c", f"http.proxySSLKey={people.folder}/bob.key", "-c", "filter.lfs.smudge=", "-c", "filter.lfs.process=",
             "-c", "filter.lfs.required=false")
    run = clients.git_clone("demo/clean", tmp_path / "out", *shown)
    assert run.ok, run.output
    assert (tmp_path / "out/README.md").read_bytes() == samples["demo/clean"]["README.md"]


def test_a_certificate_that_is_withdrawn(world, people, tmp_path):
    copy = tmp_path / "people"
    shutil.copytree(people.folder, copy)
    people = People.__new__(People)
    people.folder = copy
    gate = SecureGate(tmp_path / "gate", world, people)
    try:
        clients = gate.clients(tmp_path / "home")
        assert "status 200" in gate.curl(clients, "bob").output
        people.list_revoked("bob")
        gate.process.send_signal(signal.SIGHUP)
        assert gate.wait_for(lambda: "reloaded policy and certificate" in gate.log.read_text())
        run = gate.curl(clients, "bob")
        assert not run.ok and "connect 000" in run.output, run.output
        assert "status 200" in gate.curl(clients, "alice").output
    finally:
        gate.stop()


def test_a_password_under_tls(world, people, samples, tmp_path):
    """Who has no certificate may have a password."""
    users = tmp_path / "users"
    users.write_text(f"carol:{hash_of(PASSWORD)}\n")
    gate = SecureGate(tmp_path / "gate", world, people, f"    users: {users}\n")
    try:
        proxy = gate.proxy.replace("://", f"://carol:{PASSWORD.replace(' ', '%20')}@")
        clients = gate.clients(tmp_path / "home", proxy=proxy)
        run = clients.python(f"""
            import huggingface_hub
            huggingface_hub.snapshot_download("demo/clean", local_dir={str(tmp_path / "out")!r})
        """)
        assert run.ok, run.output
        assert tree_of(tmp_path / "out") == with_attributes(samples["demo/clean"])
        assert_refused(clients.hub_download("demo/poisoned-pickle", "model.pkl", tmp_path / "bad"), "model.pkl")
        assert any(line.get("who") == "carol" for line in gate.audit_lines())
        assert "status 200" in gate.curl(gate.clients(tmp_path / "other"), "bob").output
        assert "connect 407" in gate.curl(gate.clients(tmp_path / "third"), None).output
    finally:
        gate.stop()


# what nobody does too often

def credentials(text):
    return f"Proxy-Authorization: Basic {base64.b64encode(text.encode()).decode()}"


def test_wrong_passwords_are_held_up(world, tmp_path):
    users = tmp_path / "users"
    users.write_text(f"alice:{hash_of(PASSWORD)}\nbob:{hash_of(PASSWORD)}\n")
    gate = ProxyGate(tmp_path / "gate", world, f"  auth: {{users: {users}}}\n")
    try:
        assert gate.connect("hub.test:443", credentials(f"alice:{PASSWORD}")).startswith(b"HTTP/1.1 200")
        begin = time.monotonic()
        for _ in range(20):
            answer = gate.connect("hub.test:443", credentials("alice:always the same"))
            assert answer.startswith(b"HTTP/1.1 407"), answer
        tried = len(gate.decisions("proxy-authentication"))
        assert tried <= 1 + (time.monotonic() - begin) / 10
        answers = [gate.connect("hub.test:443", credentials(f"alice:{n}")) for n in range(60)]
        seconds = time.monotonic() - begin
        assert all(answer.startswith(b"HTTP/1.1 407") for answer in answers)
        held = [answer for answer in answers if b"Retry-After: " in answer]
        assert 60 - len(held) <= 10 + seconds / 6 and held and b"too many wrong passwords" in held[-1]
        # one line for each that was tried, and one a minute for those that were not
        assert len(gate.decisions("proxy-authentication")) <= 11 + seconds / 6 + 1 + seconds / 60
        # who is in stays in; who comes new from there waits
        assert gate.connect("hub.test:443", credentials(f"alice:{PASSWORD}")).startswith(b"HTTP/1.1 200")
        later = gate.connect("hub.test:443", credentials(f"bob:{PASSWORD}"))
        assert later.startswith((b"HTTP/1.1 407", b"HTTP/1.1 200"))
        wait = int(later.split(b"Retry-After: ")[1].split()[0]) if b"407" in later[:12] else 0
        assert 0 <= wait <= 60
    finally:
        gate.stop()


def test_names_under_a_wildcard_are_not_made_without_end(world, tmp_path):
    gate = ProxyGate(tmp_path / "gate", world, policy=POLICY)
    gate.stop()
    text = (gate.folder / "hubgate.yaml").read_text()
    (gate.folder / "hubgate.yaml").write_text(text.replace("intercept: [cdn.hub.test]", "intercept: [cdn.hub.test, '*.wild.test']"))
    assert gate.run("ca", "rotate", "--config", gate.folder / "hubgate.yaml").returncode == 0
    gate.start()
    try:
        begin = time.monotonic()
        assert gate.connect("hub.test:443").startswith(b"HTTP/1.1 200")
        answers = [gate.connect(f"n{n}.wild.test:443") for n in range(150)]
        made = sum(answer.startswith(b"HTTP/1.1 200") for answer in answers)
        assert 60 <= made <= 64 + (time.monotonic() - begin) / 2
        refused = [answer for answer in answers if not answer.startswith(b"HTTP/1.1 200")]
        assert all(answer.startswith(b"HTTP/1.1 429") and b"too many hosts" in answer for answer in refused)
        assert 1 <= len(gate.decisions("too-many-names")) <= 1 + (time.monotonic() - begin) / 60
        assert gate.connect("hub.test:443").startswith(b"HTTP/1.1 200"), "what is there is not made again"
        assert gate.connect("n3.wild.test:443").startswith(b"HTTP/1.1 200")
    finally:
        gate.stop()
