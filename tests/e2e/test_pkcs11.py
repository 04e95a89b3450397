"""The authority's key in a PKCS#11 token (SoftHSM): made or found there, used by the signer alone, rotated; what
people read when token, key or PIN are not there; what the signer's sandbox leaves to a module."""
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from gate import HUBGATE
from test_forward import ProxyGate, World, ask, inside

MODULE = "/usr/lib/softhsm/libsofthsm2.so"
HERE = Path(__file__).resolve().parent
PIN = "pin-of-9753"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    made = World(tmp_path_factory.mktemp("world"))
    yield made
    made.stop()


class SoftHsm:
    """A token "hubgate" of one test's own, and the file with its PIN."""

    def __init__(self, folder):
        self.tokens = folder / "tokens"
        self.tokens.mkdir(parents=True)
        self.config = folder / "softhsm2.conf"
        self.config.write_text(f"directories.tokendir = {self.tokens}\nobjectstore.backend = file\nlog.level = ERROR\n")
        self.pin = folder / "pin"
        self.pin.write_text(PIN + "\n")
        self.pin.chmod(0o600)
        self.run("--init-token", "--free", "--label", "hubgate", "--so-pin", "so-pin-1", "--pin", PIN)

    def run(self, *arguments):
        subprocess.run(["softhsm2-util", *arguments], env={**os.environ, "SOFTHSM2_CONF": str(self.config)}, check=True, capture_output=True)

    def uri(self, key="ca", token="hubgate", module=MODULE, pin=True):
        return f"pkcs11:token={token};object={key}?module-path={module}" + (f"&pin-source={self.pin}" if pin else "")

    @property
    def keys(self):
        """Private and public halves together."""
        return len(list(self.tokens.glob("*/*.object"))) - 1  # one is the token itself

    def remove(self):
        self.tokens.rename(self.tokens.with_name("unplugged"))
        self.tokens.mkdir()

    def put_back(self):
        self.tokens.rmdir()
        self.tokens.with_name("unplugged").rename(self.tokens)


@pytest.fixture
def hsm(tmp_path, monkeypatch):
    made = SoftHsm(tmp_path / "hsm")
    monkeypatch.setenv("SOFTHSM2_CONF", str(made.config))
    return made


class Setup:
    """A data folder whose authority is made by `hubgate ca` before the gate first starts."""

    def __init__(self, folder, world):
        self.folder, self.world = folder, world
        folder.mkdir()
        self.config = folder / "hubgate.yaml"
        self.config.write_text(world.config())
        self.data = folder / "data"
        self.gates = []

    def ca(self, verb, *arguments, **environment):
        return subprocess.run([HUBGATE, "ca", verb, "--data", self.data, "--config", self.config, *map(str, arguments)], text=True,
                              env={**os.environ, **environment}, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60)

    def start(self):
        self.gates.append(ProxyGate(self.folder, self.world))
        return self.gates[-1]

    def stop(self):
        for gate in self.gates:
            gate.stop()


@pytest.fixture
def setup(tmp_path, world):
    made = Setup(tmp_path / "gate", world)
    yield made
    made.stop()


def served(gate, host="hub.test", trust=None):
    with inside(gate, None, host, trust=trust) as stream:
        return ask(stream, f"GET /api/models/demo/clean HTTP/1.1\nHost: {host}\nConnection: close\n\n")


def processes_of(gate):
    """The gate and what it forked."""
    found, todo = [], [gate.process.pid]
    while todo:
        found.append(todo.pop())
        for children in Path(f"/proc/{found[-1]}/task").glob("*/children"):
            try:
                todo += map(int, children.read_text().split())
            except (FileNotFoundError, ProcessLookupError):
                pass  # ended meanwhile
    return [Path(f"/proc/{pid}") for pid in found]


def test_from_the_token_to_the_client(setup, hsm, world, samples, tmp_path, monkeypatch):
    run = setup.ca("init", "--pkcs11", hsm.uri(pin=False), "--module-reads", hsm.tokens, HUBGATE_PKCS11_PIN=PIN)
    assert run.returncode == 0, run.stderr
    assert "its key is in a token: pkcs11:token=hubgate;object=ca;id=" in run.stdout
    assert not (setup.data / "ca/ca.key").exists() and hsm.keys == 2
    monkeypatch.setenv("HUBGATE_PKCS11_PIN", PIN)
    gate = setup.start()
    clients = gate.clients(tmp_path / "home")
    run = clients.hub_download("demo/clean", "model.safetensors", tmp_path / "out")
    assert run.ok, run.output
    assert (tmp_path / "out").read_bytes() == samples["demo/clean"]["model.safetensors"]
    run = clients.curl("demo/poisoned-pickle/resolve/main/model.pkl", tmp_path / "bad")
    assert "status 403" in run.output and "os.system" in (tmp_path / "bad").read_text()
    # The PIN is nowhere but in the signer's memory, and the module in no other process.
    loaded = []
    for process in processes_of(gate):
        try:
            seen = {name: (process / name).read_bytes() for name in ("cmdline", "environ", "maps", "comm", "status")}
        except (FileNotFoundError, ProcessLookupError):
            continue  # a worker that was at its end
        assert PIN.encode() not in seen["cmdline"] + seen["environ"], process
        if b"libsofthsm2" in seen["maps"]:
            loaded.append(seen["comm"].decode().strip())
            assert re.search(rb"^Seccomp:\s*2$", seen["status"], re.MULTILINE)
    assert loaded == ["hubgate-signer"]
    gate.stop()
    written = b"".join(file.read_bytes() for file in setup.folder.rglob("*") if file.is_file())
    assert PIN.encode() not in written


def test_rotation(setup, hsm, world):
    arguments = ("--pkcs11", hsm.uri(), "--module-reads", hsm.tokens)
    assert setup.ca("init", *arguments).returncode == 0
    assert "has an authority already" in setup.ca("init", *arguments).stderr
    gate = setup.start()
    old = setup.folder / "old.pem"
    old.write_text(gate.authority.read_text())
    first = (setup.data / "ca/ca.token").read_text()
    run = setup.ca("rotate")
    assert run.returncode == 0, run.stderr
    assert hsm.keys == 2  # the old one is gone
    assert (setup.data / "ca/ca.token").read_text() != first
    gate.stop()
    gate.start()
    assert gate.authority.read_text() != old.read_text()
    exported = setup.folder / "exported.pem"
    assert setup.ca("export", "--out", exported).returncode == 0
    for trusted in (old, gate.authority, exported):
        assert served(gate, trust=trusted).startswith(b"HTTP/1.1 200")
    run = setup.ca("check", "--proxy", gate.proxy)
    assert run.returncode == 1 and "MISSING  HTTPS_PROXY" in run.stdout, run.stdout + run.stderr


def test_from_a_file_into_a_token(setup, hsm):
    assert setup.ca("init").returncode == 0
    old = setup.folder / "old.pem"
    old.write_bytes((setup.data / "ca/ca.pem").read_bytes())
    assert (setup.data / "ca/ca.key").exists()
    run = setup.ca("rotate", "--pkcs11", hsm.uri(), "--module-reads", hsm.tokens)
    assert run.returncode == 0, run.stderr
    assert not (setup.data / "ca/ca.key").exists() and hsm.keys == 2
    assert served(setup.start(), trust=old).startswith(b"HTTP/1.1 200")


def test_a_key_that_was_there_before(setup, hsm, tmp_path):
    key = tmp_path / "key.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key], check=True, capture_output=True)
    hsm.run("--import", str(key), "--token", "hubgate", "--label", "ours", "--id", "a1b2", "--pin", PIN)
    run = setup.ca("init", "--pkcs11", hsm.uri("ours"), "--module-reads", hsm.tokens)
    assert run.returncode == 0, run.stderr
    assert hsm.keys == 2 and "made-here: false" in (setup.data / "ca/ca.token").read_text()
    public = ["openssl", "pkey", "-in", key, "-pubout"], ["openssl", "x509", "-in", setup.data / "ca/ca.pem", "-noout", "-pubkey"]
    one, other = (subprocess.run(command, check=True, capture_output=True).stdout for command in public)
    assert one == other
    run = setup.ca("rotate", "--pkcs11", hsm.uri("ours"), "--module-reads", hsm.tokens)
    assert run.returncode == 3 and "the key of the authority which is to be replaced" in run.stderr
    assert setup.ca("rotate").returncode == 0
    assert hsm.keys == 4  # it is not ours to remove
    assert served(setup.start()).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("change, message", [
    (lambda hsm: hsm.pin.write_text("111111\n"), r'token "hubgate": the PIN is wrong'),
    (lambda hsm: hsm.pin.chmod(0o644), r"others than its owner may read the PIN: chmod 600"),
    (lambda hsm: hsm.pin.unlink(), r"the PIN can't be read"),
    (lambda hsm: hsm.remove(), r'there is no token "hubgate"'),
    (lambda hsm: [file.unlink() for file in hsm.tokens.glob("*/*-*.object")], r"the authority's key is not there")])
def test_what_is_missing_is_named(setup, hsm, change, message):
    assert setup.ca("init", "--pkcs11", hsm.uri(), "--module-reads", hsm.tokens).returncode == 0
    change(hsm)
    with pytest.raises(RuntimeError, match=message):
        setup.start()


@pytest.mark.parametrize("change, message", [
    (("token=hubgate", "token=other"), r'there is no token "other"; there are: hubgate'),
    ((MODULE, "/nowhere/module.so"), r"/nowhere/module.so: cannot open shared object"),
    ((MODULE, "/usr/lib/x86_64-linux-gnu/libcrypt.so.1"), r"libcrypt.so.1: is no PKCS#11 module"),
    (("?", "?pin-value=1234&"), r"the PIN does not belong into the URI"),
    (("token=hubgate;", ""), r"which token\?"), (("object=ca", "objekt=ca"), r"objekt is not known here"), (("pkcs11:", ""), r"begins with")])
def test_uris(setup, hsm, change, message):
    run = setup.ca("init", "--pkcs11", hsm.uri().replace(*change))
    assert run.returncode == 3 and re.search(message, run.stderr), run.stderr
    assert not (setup.data / "ca/ca.pem").exists()


def test_a_pin_is_asked_for_in_words(setup, hsm):
    run = setup.ca("init", "--pkcs11", hsm.uri(pin=False))
    assert run.returncode == 3 and "pin-source=FILE in the URI, or HUBGATE_PKCS11_PIN" in run.stderr
    run = setup.ca("init", "--pkcs11", hsm.uri(pin=False), HUBGATE_PKCS11_PIN="wrong one")
    assert run.returncode == 3 and "the PIN is wrong" in run.stderr and "wrong one" not in run.stderr + run.stdout


def test_a_token_that_goes_while_the_gate_runs(setup, hsm):
    assert setup.ca("init", "--pkcs11", hsm.uri(), "--module-reads", hsm.tokens).returncode == 0
    gate = setup.start()
    assert served(gate).startswith(b"HTTP/1.1 200")
    hsm.remove()
    answer = gate.connect("cdn.hub.test:443")
    assert answer.startswith(b"HTTP/1.1 502") and b"no certificate for cdn.hub.test: " in answer and b"token" in answer, answer
    assert served(gate).startswith(b"HTTP/1.1 200")  # its certificate is there
    hsm.put_back()  # SoftHSM has given it up, and its login would write
    gate.stop()
    gate.start()
    assert served(gate).startswith(b"HTTP/1.1 200")


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    out = tmp_path_factory.mktemp("shim") / "shim.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-I/usr/include/p11-kit-1", "-o", out, HERE / "pkcs11_shim.c"], check=True)
    return out


@pytest.mark.parametrize("does, grants, good", [
    ("nothing", ["reads"], True), ("nothing", [], False), ("read", ["reads"], False),  # not below what it may read
    ("write", ["reads", "sockets"], False), ("exec", ["reads", "sockets"], False), ("socket", ["reads"], False), ("socket", ["reads", "sockets"], True)])
def test_what_the_sandbox_leaves_to_a_module(setup, hsm, shim, does, grants, good):
    options = (["--module-reads", hsm.tokens] if "reads" in grants else []) + (["--module-sockets"] if "sockets" in grants else [])
    run = setup.ca("init", "--pkcs11", hsm.uri(module=shim), *options, HUBGATE_SHIM=does)
    if good:
        assert run.returncode == 0, run.stderr
    else:
        assert run.returncode == 3 and "the authority is made, but hubgate serve can't use it" in run.stderr, run.stderr
        assert "(in the signer's sandbox; before, it did: see \"reads\" and \"sockets\" in" in run.stderr
    assert not Path("/tmp/hubgate-shim").exists()
