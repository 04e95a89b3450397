"""Transparent capture: a client's machine, the gate as its router, and the hub's machine, each in a network of its own.

Nothing is set on the client but its trust in the gate's authority. The rules are those of deploy/transparent/README.md."""
import json
import re
import shlex
import subprocess
import sys
import time

import pytest

from clients import PYTHON, Clients, Run, tree_of
from gate import HUBGATE, ROOT, Answer, Gate
from hub.client import TESTS
from networks import Machine, connect
from test_forward import make_certificates
from test_pull_clean import with_attributes
from test_pull_poisoned import assert_harmless, assert_refused

PAGE = ROOT / "deploy/transparent/README.md"
WAYS = ["nft-redirect", "nft-tproxy", "iptables-redirect", "iptables-tproxy"]
HUB, OTHER, OTHER6, GATE, CLIENT = "45.60.0.10", "45.60.0.20", "2a0b:77::20", "45.60.0.1", "10.77.0.2"

# What stands on the other host: TLS and plain HTTP that say what they were asked, and an echo on UDP 443.
OTHER_HOST = """
import socket, ssl, sys, threading
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(*sys.argv[1:3])
def serve(sock, tls):
    try:
        stream = context.wrap_socket(sock, server_side=True) if tls else sock
        data = b""
        while b"\\r\\n\\r\\n" not in data:
            piece = stream.recv(65536)
            if not piece: return
            data += piece
        body = b"other host was asked: " + data
        stream.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\nConnection: close\\r\\n\\r\\n%b" % (len(body), body))
        stream.close()
    except OSError:
        pass
def listen(address, port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.create_server((address, port), family=family)
    def run():
        while True:
            sock, _ = listener.accept()
            threading.Thread(target=serve, args=(sock, port == 443), daemon=True).start()
    threading.Thread(target=run, daemon=True).start()
for address in sys.argv[3:]:
    listen(address, 443)
    listen(address, 80)
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind((sys.argv[3], 443))
print("ready", flush=True)
while True:
    data, peer = udp.recvfrom(2000)
    udp.sendto(data, peer)
"""


class RouterGate(Gate):
    """`hubgate serve --transparent` on the machine in the middle."""

    def __init__(self, folder, net, *words, proxy="", port=3129):
        self.net, self.words = net, words
        config = ("upstream: https://hub.test\n"
                  f"tls: {{upstream_ca: {net.certificates}/ca.pem}}\n"
                  "follow: [cdn.hub.test]\n"
                  f"resolve: {{cdn.hub.test: '{HUB}:8443'}}\n"
                  "git: {packs: pass}\n"
                  f"proxy:\n  intercept: [cdn.hub.test]\n{proxy}")
        super().__init__(folder, "https://hub.test", "--transparent", f"[::]:{port}", config=config)
        self.authority = self.data / "ca/ca.pem"
        self.bundle = folder / "bundle.pem"
        self.bundle.write_text(self.authority.read_text() + (net.certificates / "ca.pem").read_text())

    def command(self, *words):
        return self.net.gate.command(*self.words, *words)

    def admin(self, path):
        done = self.net.gate.run("curl", "-s", "-m", "20", "-w", "\n%{http_code}", f"http://127.0.0.1:{self.admin_port}{path}", check=False)
        if done.returncode != 0:
            raise OSError(done.stderr)
        body, _, status = done.stdout.rpartition("\n")
        return Answer(int(status), None, body.encode(), True)

    def rules(self, rule):
        return [line for line in self.audit_lines() if line.get("rule") == rule]

    def wait_for(self, what):
        deadline = time.monotonic() + 30
        while not what() and time.monotonic() < deadline:
            time.sleep(0.05)
        return what()


class ClientsThere(Clients):
    """The real clients on the client's machine."""

    def __init__(self, machine, gate, home):
        self.machine = machine
        trusted = {name: str(gate.bundle) for name in ("SSL_CERT_FILE", "GIT_SSL_CAINFO", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE",
                                                       "NODE_EXTRA_CA_CERTS")}
        super().__init__("https://hub.test", home, **trusted)

    def run(self, *command, timeout=150, cwd=None, **environment):
        done = subprocess.run(self.machine.command(*command, cwd=cwd or self.home), env={**self.environment, **environment},
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout, check=False)
        return Run(done.returncode, done.stdout.decode(errors="replace"), self.home)

    def ask(self, url, *options):
        return self.run("curl", "-sS", "-m", "60", "-w", "\nstatus %{http_code}", *options, url)


class Net:
    """Three machines, what runs on the hub's, and two gates on the middle one."""

    def __init__(self, folder):
        self.certificates = make_certificates(folder / "certificates")
        self.gate = Machine("gate", f"{HUB} hub.test\n", folder)
        names = f"{HUB} hub.test\n45.60.0.11 cdn.hub.test\n{OTHER} other.test\n169.254.169.254 metadata.test\n"
        self.client = Machine("client", names, folder, self.gate)
        self.hub = Machine("hub", "", folder, self.gate)
        connect(self.client, "lan", self.gate, "lan0")
        connect(self.hub, "wan", self.gate, "wan0")
        self.gate.address("lan0", "10.77.0.1/24", "fd77::1/64")
        self.gate.address("wan0", f"{GATE}/24", "2a0b:77::1/64")
        self.client.address("lan", f"{CLIENT}/24", "fd77::2/64")
        self.hub.address("wan", f"{HUB}/24", f"{OTHER}/24", "2a0b:77::10/64", f"{OTHER6}/64")
        for machine, v4, v6 in ((self.client, "10.77.0.1", "fd77::1"), (self.hub, GATE, "2a0b:77::1")):
            machine.run("ip", "route", "add", "default", "via", v4)
            machine.run("ip", "-6", "route", "add", "default", "via", v6)
        hub, key = self.certificates / "hub.pem", self.certificates / "hub.key"
        self.servers = [self.start(folder, "hub https", sys.executable, "-m", "hub", "--root", folder / "root", "--host", HUB, "--port", "443",
                                   "--cdn-port", "8443", "--tls-cert", hub, "--tls-key", key,
                                   "--known-as", "https://hub.test", "https://cdn.hub.test"),
                        self.start(folder, "ready", sys.executable, "-c", OTHER_HOST, hub, key, OTHER, OTHER6)]
        self.way = None

    def start(self, folder, sign, *words):
        process = subprocess.Popen(self.hub.command(*words, cwd=TESTS), stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline().startswith(sign), words
        return process

    def capture(self, way):
        """The rules of one block of the page; "none": none."""
        if way == self.way:
            return
        self.gate.shell("nft flush ruleset; for v in -4 -6; do ip $v rule del fwmark 0x68 || true; ip $v route flush table 104 || true; done")
        self.way = way
        if way == "none":
            return
        if way not in WAYS:
            self.gate.run("nft", "-f", "-", input=way)
            return
        for kind, text in blocks(way):
            text = text.replace("eth1", "lan0")
            if kind == "nft":
                self.gate.run("nft", "-f", "-", input=text)
            else:
                self.gate.shell(text)

    def stop(self):
        for process in self.servers:
            process.terminate()
            process.wait(20)
        for machine in (self.client, self.hub, self.gate):
            machine.stop()


def blocks(way):
    """The code of a section of the page, and of those that it builds on."""
    sections = re.split(r"^## ", PAGE.read_text(), flags=re.M)
    tool, kind = way.split("-")
    title = {"redirect": "REDIRECT", "tproxy": "TPROXY"}[kind]
    section = next(text for text in sections if text.startswith(title))
    found = re.findall(r"^```(nft|sh)\n(.*?)^```", section, flags=re.M | re.S)
    wanted = [(language, text) for language, text in found
              if "ip rule" in text or tool == ("nft" if language == "nft" else "iptables")]
    assert len(wanted) == (2 if kind == "tproxy" else 1), way
    return wanted


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    made = Net(tmp_path_factory.mktemp("net"))
    yield made
    made.stop()


@pytest.fixture(scope="module")
def gate(net, tmp_path_factory):
    made = RouterGate(tmp_path_factory.mktemp("gate"), net)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def strict(net, tmp_path_factory):
    """Another gate, which lets nobody through to what it does not open."""
    made = RouterGate(tmp_path_factory.mktemp("strict"), net, proxy="  default: refuse\n  tunnel: [second.test]\n", port=3130)
    yield made
    made.stop()


@pytest.fixture
def clients(net, gate, tmp_path):
    return ClientsThere(net.client, gate, tmp_path / "home")


def redirected_to(port, *more):
    return ("table inet hubgate {\n  chain capture {\n    type nat hook prerouting priority dstnat;\n"
            f"    iifname lan0 tcp dport {{ 80, 443, 4443 }} redirect to :{port}\n  }}\n" + "".join(more) + "}\n")


# the four ways

@pytest.mark.parametrize("way", WAYS)
def test_every_way(way, net, gate, clients, samples, tmp_path):
    net.capture(way)
    run = clients.curl("demo/clean/resolve/main/model.safetensors", tmp_path / "out")
    assert "status 200" in run.output, run.output
    assert (tmp_path / "out").read_bytes() == samples["demo/clean"]["model.safetensors"]
    run = clients.ask("https://hub.test/demo/poisoned-pickle/resolve/main/model.pkl")
    assert "status 403" in run.output and "os.system" in run.output
    assert any(line.get("from") == CLIENT and line.get("path") == "model.pkl" for line in gate.audit_lines())
    # another host answers itself, with its own certificate
    for place in (OTHER, f"[{OTHER6}]"):
        before = gate.audit_lines()
        run = clients.ask("https://other.test/x?y", "--cacert", net.certificates / "ca.pem", "--connect-to", f"other.test:443:{place}:443")
        assert "other host was asked: GET /x?y" in run.output and "status 200" in run.output, run.output
        assert len(gate.audit_lines()) == len(before)
    # whom the client believes to be the hub does not matter, not even its family of addresses
    for place in (f"{OTHER}", f"[{OTHER6}]", "[2a0b:77::99]"):
        run = clients.ask("https://hub.test/demo/clean/resolve/main/README.md", "--connect-to", f"hub.test:443:{place}:443")
        assert samples["demo/clean"]["README.md"].decode() in run.output and "status 200" in run.output, run.output


def test_python(net, clients, samples, tmp_path):
    net.capture("nft-tproxy")
    run = clients.python(f"""
        import huggingface_hub
        huggingface_hub.snapshot_download("demo/clean", local_dir={str(tmp_path / "out")!r})
    """)
    assert run.ok, run.output
    assert tree_of(tmp_path / "out") == with_attributes(samples["demo/clean"])
    run = clients.hub_download("demo/poisoned-pickle", "model.pkl", tmp_path / "bad")
    assert_refused(run, "model.pkl")
    assert_harmless(clients.home, samples, "demo/poisoned-pickle", "model.pkl")


def test_git_and_lfs(net, clients, samples, tmp_path):
    net.capture("nft-redirect")
    run = clients.git_clone("demo/clean", tmp_path / "out")
    assert run.ok, run.output
    assert tree_of(tmp_path / "out") == with_attributes(samples["demo/clean"])
    run = clients.git_clone("demo/poisoned-pickle", tmp_path / "bad", "-c", "lfs.transfer.maxretries=1")
    assert_refused(run, "model.pkl")


def test_quic_is_answered_by_nobody(net, gate):
    script = f"""
import socket
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.settimeout(20)
sock.connect(("{OTHER}", 443))
try:
    sock.send(b"initial")
    print("answer", sock.recv(100))
except OSError as error:
    print(type(error).__name__)
"""
    net.capture("none")
    assert "answer" in net.client.run(PYTHON, "-c", script).stdout
    for way in WAYS:
        net.capture(way)
        assert net.client.run(PYTHON, "-c", script).stdout.strip() == "ConnectionRefusedError", way


# what must agree, and where nobody gets

def test_names_agree(net, gate, clients):
    net.capture("nft-redirect")
    run = clients.ask("https://hub.test/demo/clean/resolve/main/README.md", "-H", "Host: other.test")
    assert "status 421" in run.output and gate.rules("host-mismatch"), run.output


def test_without_a_server_name(net, gate, strict, tmp_path):
    """The address decides then, as `default` says."""
    net.capture("nft-redirect")
    clients = ClientsThere(net.client, gate, tmp_path / "home")
    run = clients.ask(f"https://{OTHER}/x", "-k")
    assert "other host was asked" in run.output, run.output
    net.capture(redirected_to(3130))
    for url, reason in ((f"https://{OTHER}/x", OTHER), ("https://other.test/x", "other.test")):
        run = clients.ask(url, "-k")
        assert not run.ok and "access denied" in run.output, run.output
        assert reason in strict.wait_for(lambda host=reason: [line for line in strict.rules("connect-host") if host in json.dumps(line)])[-1]["reason"]
    run = clients.ask(f"https://second.test/x", "-k", "--resolve", f"second.test:443:{OTHER}")
    assert "other host was asked" in run.output, run.output
    run = clients.ask("http://other.test/x")
    assert "status 403" in run.output and "lets nobody through to other.test" in run.output, run.output


def test_internal_addresses(net, gate, clients):
    net.capture("nft-redirect")
    for scheme in ("https", "http"):
        run = clients.ask(f"{scheme}://metadata.test/latest", "-k")
        assert "status 403" in run.output if scheme == "http" else "access denied" in run.output, run.output
    assert "169.254.169.254" in gate.rules("internal-address")[-1]["reason"]


def test_loops(net, gate, strict, clients, tmp_path):
    """The gate's own address, its port for captured connections, and its own connections sent back to it."""
    net.capture(redirected_to(3129))
    run = clients.ask("https://other.test/", "-k", "--connect-to", f"other.test:443:{GATE}:443")
    assert "access denied" in run.output, run.output
    run = clients.ask("https://other.test/", "-k", "--connect-to", "other.test:443:10.77.0.1:3129")
    assert not run.ok and gate.wait_for(lambda: gate.rules("capture-port")), run.output
    run = clients.ask("https://other.test/", "-k", "--connect-to", f"other.test:443:{OTHER}:4443")
    assert not run.ok and any("4443" in line["reason"] for line in gate.rules("capture-port")), run.output
    before = len(gate.rules("loop"))
    assert before
    own = "  chain own {{\n    type nat hook output priority -100;\n    tcp dport {{ 80, 443 }} redirect to :{}\n  }}\n"
    net.capture(redirected_to(3129, own.format(3129)))
    for url in ("https://other.test/", "http://other.test/"):
        clients.ask(url, "-k")
    assert gate.wait_for(lambda: len(gate.rules("loop")) == before + 2)
    net.capture(redirected_to(3130, own.format(3130)))  # this gate has no connection to the hub yet
    run = ClientsThere(net.client, strict, tmp_path / "home2").ask("https://hub.test/api/models/demo/clean")
    assert "status 502" in run.output and strict.wait_for(lambda: strict.rules("loop")), run.output


# plain HTTP

def test_plain_http(net, gate, clients, samples, tmp_path):
    net.capture("nft-tproxy")
    run = clients.ask("http://other.test/x%2fy?z", "-H", "X-Kept:   as it is", "-H", "Connection: close")
    assert "other host was asked: GET /x%2fy?z HTTP/1.1\r\nHost: other.test\r\n" in run.output and "X-Kept:   as it is\r\n" in run.output
    run = clients.ask("http://hub.test/demo/clean/resolve/main/README.md")
    assert "status 301" in run.output and "over https" in run.output, run.output
    run = clients.ask("http://hub.test/demo/clean/resolve/main/README.md", "-L")
    assert samples["demo/clean"]["README.md"].decode() in run.output, run.output
    run = clients.ask("http://hub.test/x", "--connect-to", f"hub.test:80:{OTHER}:80")
    assert "status 301" in run.output, "the Host field decides, not the address"
    run = clients.ask("http://hub.test/api/repos/create", "-d", "{}")
    assert "status 403" in run.output and "https only" in run.output, run.output
    for options in (("-x", "http://other.test:80", "http://hub.test/x"), ("-H", "Host: other.test:8080", "http://other.test/")):
        run = clients.ask(options[-1], *options[:-1])
        assert "status 400" in run.output, run.output


# first bytes

def send(net, port, script):
    """A client that writes its first bytes by hand: `script` has `flight` (a ClientHello), `sock` and `finish()`."""
    text = f"""
import socket, ssl, sys, time
incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
context = ssl.create_default_context(cafile=sys.argv[1])
tls = context.wrap_bio(incoming, outgoing, server_hostname="hub.test")
def step(action):
    while True:
        try:
            return action()
        except ssl.SSLWantReadError:
            if outgoing.pending: sock.sendall(outgoing.read())
            data = sock.recv(65536)
            if not data: incoming.write_eof()
            incoming.write(data)
try: tls.do_handshake()
except ssl.SSLWantReadError: pass
flight = outgoing.read()
sock = socket.create_connection(("{HUB}", {port}), timeout=60)
sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
def finish():
    step(tls.do_handshake)
    tls.write(b"GET /api/models/demo/clean HTTP/1.1\\r\\nHost: hub.test\\r\\nConnection: close\\r\\n\\r\\n")
    print(step(lambda: tls.read(65536)).decode().splitlines()[0])
{script}
"""
    return text


@pytest.mark.parametrize("script", [
    "for byte in flight: sock.sendall(bytes([byte]))",
    "for at in range(5, len(flight), 7): sock.sendall(flight[:3] + len(flight[at:at + 7]).to_bytes(2, 'big') + flight[at:at + 7])",
    "sock.sendall(flight[:4]); time.sleep(0.3); sock.sendall(flight[4:])",
], ids=["a byte a segment", "seven bytes a record", "half a record head"])
def test_hello_in_pieces(net, gate, script):
    net.capture("nft-redirect")
    done = net.client.run(PYTHON, "-c", send(net, 443, script + "\nfinish()"), gate.bundle, check=False)
    assert done.stdout.strip() == "HTTP/1.1 200 OK", done.stdout + done.stderr


@pytest.mark.parametrize("first", ["b'SSH-2.0-OpenSSH_9.2\\r\\n'", "b'GET / HTTP/1.1\\r\\nHost: hub.test\\r\\n\\r\\n'", "b'\\x16\\x03\\x01\\x00\\x00'",
                                   "b'\\x16\\x03\\x01\\x40\\x00\\x01\\x00\\xff\\xff' + bytes(40000)"])
def test_other_protocols_on_443(net, gate, first):
    net.capture("nft-redirect")
    before = len(gate.rules("no-tls"))
    done = net.client.run(PYTHON, "-c", send(net, 443, f"sock.sendall({first})\ntry: print(sock.recv(100))\nexcept OSError: print(b'')"),
                          gate.bundle, check=False)
    assert done.stdout.strip() == "b''", done.stdout + done.stderr
    assert gate.wait_for(lambda: len(gate.rules("no-tls")) == before + 1)


# rights

def capabilities(pid):
    status = open(f"/proc/{pid}/status", encoding="ascii").read()
    return [int(re.search(rf"{name}:\s*(\w+)", status)[1], 16) for name in ("CapEff", "CapPrm", "CapBnd")]


def test_rights_are_given_up(net, gate, clients, tmp_path):
    assert "(REDIRECT, TPROXY)" in gate.log.read_text()
    for number in (12, 13):  # CAP_NET_ADMIN, CAP_NET_RAW
        assert not any(held >> number & 1 for held in capabilities(gate.process.pid))
    poor = RouterGate(tmp_path / "poor", net, "setpriv", "--bounding-set", "-net_admin,-net_raw", port=3131)
    try:
        assert "(REDIRECT; TPROXY would need CAP_NET_ADMIN)" in poor.log.read_text()
        net.capture(redirected_to(3131))
        run = ClientsThere(net.client, poor, tmp_path / "home").ask("https://hub.test/demo/clean/resolve/main/README.md")
        assert "status 200" in run.output, run.output
    finally:
        poor.stop()
