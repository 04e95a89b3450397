"""The hook asks `hubgate serve` over its socket: verdicts, limits, and what happens when it is not there."""
import array
import hashlib
import os
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import pytest

from gate import HUBGATE, hubgate
from hub.samples import COMMAND, call, models, pickle_of
from hub.store import make_pointer
from servers import BareRepository
from test_hook import WorkingCopy, assert_refused

POISON = pickle_of(call("os", "system", COMMAND))
CLEAN = models()["demo/clean"]["vocabulary.pkl"]
HOOK_USER = 65534  # nobody: an account that every machine has
AS_HOOK_USER = f"env HOME=/nonexistent setpriv --reuid={HOOK_USER} --regid={HOOK_USER} --clear-groups"


@pytest.fixture
def folder():
    """A folder that other accounts can walk through, as pytest's own are not."""
    path = Path(tempfile.mkdtemp(prefix="hubgate-daemon-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


class Daemon:
    """`hubgate serve` that answers hooks and nothing else."""

    def __init__(self, folder, config=f"hook:\n  trusted_users: [{HOOK_USER}]\n", *options):
        self.data = folder / "gate"
        self.run = folder / "run"
        self.run.mkdir(mode=0o755, exist_ok=True)
        self.socket = self.run / "hook.sock"
        (folder / "serve.yaml").write_text(f"socket: {self.socket}\nsocket_mode: \"0666\"\n{config}")
        self.arguments = [HUBGATE, "serve", "--data", str(self.data), "--config", str(folder / "serve.yaml"), *options]
        self.log = folder / "serve.log"
        self.start()

    def start(self):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.arguments, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        wait_until(lambda: self.process.poll() is not None or "answering" in self.log.read_text() and can_connect(self.socket))
        assert self.process.poll() is None, self.log.read_text()

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(60)

    def worker_parent(self):
        """The process that scans are forked from."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        assert len(children) == 1
        return int(children[0])

    def rows(self, query, *values):
        with sqlite3.connect(f"file:{self.data}/hubgate.db?mode=ro", uri=True) as database:
            return database.execute(query, values).fetchall()

    def knows(self, data):
        return self.rows("select count(*) from analyses where sha256 = ?", hashlib.sha256(data).digest())[0][0] == 1

    def audit(self):
        return "".join(file.read_text() for file in sorted((self.data / "audit").glob("*.jsonl")))


def wait_until(holds, seconds=60):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.02)


def can_connect(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        try:
            sock.connect(str(path))
        except OSError:
            return False
        return True


@pytest.fixture
def make_daemon(folder):
    made = []

    def make(*arguments):
        made.append(Daemon(folder, *arguments))
        return made[-1]
    yield make
    for daemon in made:
        if daemon.process.poll() is None:
            daemon.stop(signal.SIGKILL)


class ForeignRepository(BareRepository):
    """A repository whose server is another account, one that can't write to the gate's records."""

    def __init__(self, folder, *options):
        super().__init__(folder)
        # The program may lie where that account can't go.
        shutil.copy(HUBGATE, folder / "hubgate")
        self.hook_with(*options)

    def hook_with(self, *options):
        self.set_hook(f"exec {self.path.parent}/hubgate hook pre-receive {' '.join(options)}")
        self.give()

    def give(self):
        subprocess.run(["chown", "-R", f"{HOOK_USER}:{HOOK_USER}", str(self.path)], check=True)


@pytest.fixture
def work(tmp_path):
    return WorkingCopy(tmp_path)


def push(work, server, *refs):
    """As a person pushes; Git on the server is the other account's."""
    return work.git("push", f"--receive-pack={AS_HOOK_USER} git-receive-pack", str(server.path), *(refs or ("main",)), check=False)


def test_a_hook_without_rights_asks_the_daemon(folder, make_daemon, work):
    daemon = make_daemon()
    server = ForeignRepository(folder, "--daemon", str(daemon.socket))
    denied = subprocess.run([*AS_HOOK_USER.split(), "ls", str(daemon.data)], capture_output=True, check=False)
    assert denied.returncode != 0
    head = work.commit({"vocabulary.pkl": CLEAN, "README.md": b"# hi\n", "big.txt": b"text of a file\n" * 700_000})
    run = push(work, server)
    assert run.ok, run.output
    assert server.refs() == {"refs/heads/main": head}
    assert daemon.knows(CLEAN)

    work.commit({"models/model.pkl": POISON})
    run = push(work, server)
    assert_refused(run, "models/model.pkl", "os.system", hashlib.sha256(POISON).hexdigest())
    assert server.refs() == {"refs/heads/main": head}
    assert '"account":65534' in daemon.audit() and "models/model.pkl" in daemon.audit()
    # What the hook has seen, the gate's other roads know.
    assert daemon.knows(POISON)
    reference = run.output.split("HG-")[1][:12]
    shown = hubgate("audit", "show", "HG-" + reference, "--data", daemon.data)
    assert shown.returncode == 0 and "models/model.pkl" in shown.stdout, shown.stdout + shown.stderr
    assert daemon.stop() == 0
    assert not daemon.socket.exists()


def test_lfs_objects_of_another_account(folder, make_daemon, work):
    """The daemon reads what the hook opens: files that its own account need not reach."""
    daemon = make_daemon()
    server = ForeignRepository(folder, "--daemon", str(daemon.socket))
    for data in (CLEAN, POISON):
        oid = server.put_lfs(data)
        server.give()
        for path in server.path.glob(f"lfs/objects/*/*/{oid}"):
            path.chmod(0o600)
        work.commit({f"{oid[:4]}.pkl": make_pointer(oid, len(data))})
    run = push(work, server)
    assert_refused(run, "os.system", hashlib.sha256(POISON).hexdigest())
    assert daemon.knows(CLEAN) and daemon.knows(POISON)


def test_quarantined_bytes_are_the_daemons(folder, make_daemon, work):
    policy = folder / "policy.yaml"
    policy.write_text("version: 1\nrules:\n  - id: aside\n    match: {verdict: malicious}\n    action: quarantine\n"
                      "  - id: rest\n    match: {}\n    action: allow\n")
    daemon = make_daemon(f"policy: {policy}\nhook:\n  trusted_users: [nobody]\n")
    server = ForeignRepository(folder, "--daemon", str(daemon.socket))
    work.commit({"model.pkl": POISON})
    assert_refused(push(work, server), "model.pkl")
    assert (daemon.data / "quarantine" / hashlib.sha256(POISON).hexdigest()).read_bytes() == POISON


def test_an_account_that_is_not_trusted(folder, make_daemon, work):
    daemon = make_daemon("hook: {}\n")
    server = ForeignRepository(folder, "--daemon", str(daemon.socket))
    work.commit({"README.md": b"# hi\n"})
    assert_refused(push(work, server), "could not do its work", "account 65534", "trusted_users")
    assert server.refs() == {}


def test_a_daemon_that_is_gone(folder, work):
    gone = folder / "run/hook.sock"
    work.commit({"README.md": b"# hi\n"})
    foreign = ForeignRepository(folder, "--daemon", str(gone))
    assert_refused(push(work, foreign), "daemon does not answer", "no data directory")

    # An account that could keep records scans by itself, unless it shall not.
    for name in ("own", "strict"):
        (folder / name).mkdir()
    own = BareRepository(folder / "own", config=f"hook:\n  daemon: {gone}\n")
    run = work.push(own)
    assert run.ok and "this push is scanned without it" in run.output, run.output
    strict = BareRepository(folder / "strict", config=f"hook:\n  daemon: {gone}\n  without_daemon: refuse\n")
    assert_refused(work.push(strict), "daemon does not answer", "without_daemon")
    assert strict.refs() == {}


def test_a_daemon_that_is_killed_in_the_middle(folder, make_daemon, work):
    daemon = make_daemon()
    server = ForeignRepository(folder, "--daemon", str(daemon.socket))
    head = work.commit({"vocabulary.pkl": CLEAN})
    # No scan comes to its end: the push is in the middle when the daemon goes.
    os.kill(daemon.worker_parent(), signal.SIGSTOP)
    outcome = []
    pushing = threading.Thread(target=lambda: outcome.append(push(work, server)))
    parent = daemon.worker_parent()
    pushing.start()
    wait_until(lambda: "hubgate-bytes" in descriptors_of(daemon.process.pid))
    daemon.stop(signal.SIGKILL)
    os.kill(parent, signal.SIGKILL)
    pushing.join(60)
    assert_refused(outcome[0], "could not do its work", "daemon")
    assert server.refs() == {}
    daemon.start()
    run = push(work, server)
    assert run.ok, run.output
    assert server.refs() == {"refs/heads/main": head}


def descriptors_of(pid):
    out = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            out.append(os.readlink(entry))
        except OSError:
            pass
    return " ".join(out)


def test_at_the_deadline_the_scan_goes_on(folder, make_daemon, work):
    daemon = make_daemon()
    server = ForeignRepository(folder, "--daemon", str(daemon.socket), "--deadline", "2s")
    pointed = CLEAN + b"."
    head = work.commit({"vocabulary.pkl": CLEAN, "notes.txt": b"notes\n" * 2_000_000, "weights.pkl": make_pointer(server.put_lfs(pointed), len(pointed))})
    server.give()
    # A scan that takes longer than the server's patience.
    os.kill(daemon.worker_parent(), signal.SIGSTOP)
    run = push(work, server)
    assert_refused(run, "scan in progress", "push again")
    assert server.refs() == {}
    os.kill(daemon.worker_parent(), signal.SIGCONT)
    wait_until(lambda: daemon.rows("select count(*) from analyses")[0][0] >= 3)
    server.hook_with("--daemon", str(daemon.socket), "--deadline", "120s")
    run = push(work, server)
    assert run.ok, run.output
    assert server.refs() == {"refs/heads/main": head}
    assert "scan in progress" in daemon.audit()


def test_a_hook_that_only_looks_up(folder, make_daemon, work):
    daemon = make_daemon()
    server = ForeignRepository(folder, "--daemon", str(daemon.socket), "--lookup-only")
    head = work.commit({"vocabulary.pkl": CLEAN})
    assert_refused(push(work, server), "never scanned", "vocabulary.pkl", hashlib.sha256(CLEAN).hexdigest(), "push again")
    assert server.refs() == {} and not daemon.knows(CLEAN)
    (folder / "other").mkdir()
    assert work.push(BareRepository(folder / "other", "--daemon", str(daemon.socket))).ok
    run = push(work, server)
    assert run.ok, run.output
    assert server.refs() == {"refs/heads/main": head}


HEADER = struct.Struct("<BBIQ")
HELLO, BATCH, FILE, EVENT, DONE, FAILED = 1, 2, 3, 8, 64, 65


def text(value):
    return struct.pack("<I", len(value)) + value


class Peer:
    """Somebody who speaks to the daemon by himself."""

    def __init__(self, daemon, hello=True):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(60)
        self.socket.connect(str(daemon.socket))
        if hello:
            version = hubgate("--version").stdout.split()[1].encode()
            kind, _ = self.ask(HELLO, struct.pack("<I", 1) + text(version) + text(b"org/name") + text(b"/srv/name.git"))
            assert kind == DONE

    def send(self, kind, payload=b"", fds=()):
        header = HEADER.pack(kind, 2 if fds else 0, 1, len(payload))
        self.socket.sendmsg([header + payload], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else [])

    def receive(self):
        answer = self.socket.recv(1 << 17)
        return (answer[0], answer[HEADER.size:]) if answer else (None, b"")

    def ask(self, *arguments):
        self.send(*arguments)
        return self.receive()


def memory(data=b"0123456789", sealed=False):
    import fcntl
    fd = os.memfd_create("test", os.MFD_ALLOW_SEALING)
    os.write(fd, data)
    if sealed:
        fcntl.fcntl(fd, 1033, 2 | 4 | 8)  # F_ADD_SEALS: shrink, grow, write
    return fd


def test_garbage_ends_its_own_connection_only(folder, make_daemon, work):
    daemon = make_daemon()
    items = struct.pack("<IQQ", 1, 0, 10)
    for raw in (b"GET / HTTP/1.1\r\n\r\n", b"\0", bytes(60_000), HEADER.pack(HELLO, 0, 1, 1 << 40)):
        peer = Peer(daemon, hello=False)
        peer.socket.send(raw)
        assert peer.receive()[0] == FAILED
        assert peer.receive()[0] is None
    # Nobody is served who has not said who he is.
    assert Peer(daemon, hello=False).ask(BATCH, items, [memory(sealed=True)])[0] == FAILED
    fifo, other = os.pipe()
    here, there = socket.socketpair()
    folder_fd = os.open(folder, os.O_RDONLY)
    for kind, payload, fds in ((BATCH, items, [memory()]), (BATCH, items, [fifo]), (BATCH, items, ()),
                               (BATCH, struct.pack("<IQQ", 1, 5, 6), [memory(sealed=True)]),
                               (BATCH, struct.pack("<I", 1 << 31), [memory(sealed=True)]),
                               (FILE, b"", [fifo]), (FILE, b"", [here.fileno()]), (FILE, b"", [folder_fd]), (FILE, b"", ()),
                               (77, b"", ())):
        assert Peer(daemon).ask(kind, payload, fds)[0] == FAILED, (kind, payload)
    # The gate's own events are not for others to tell.
    kind, why = Peer(daemon).ask(EVENT, text(b"policy-reloaded") + text(b"{}"))
    assert kind == FAILED and b"pushes" in why
    assert "policy-reloaded" not in daemon.audit()
    # A file that is written while the daemon reads it is no reason to stop either.
    assert Peer(daemon).ask(BATCH, items, [memory(sealed=True)])[0] == DONE

    server = ForeignRepository(folder, "--daemon", str(daemon.socket))
    work.commit({"vocabulary.pkl": CLEAN})
    assert push(work, server).ok
    assert daemon.stop() == 0


def test_more_connections_than_it_takes(folder, make_daemon, work):
    daemon = make_daemon()
    server = ForeignRepository(folder, "--daemon", str(daemon.socket))
    work.commit({"vocabulary.pkl": CLEAN})
    peers = [Peer(daemon) for _ in range(64)]
    assert_refused(push(work, server), "too many pushes at once", "push again")
    for peer in peers:
        peer.socket.close()
    wait_until(lambda: push(work, server).ok)


def test_beside_the_proxy(folder, make_gate, work):
    """One process for both roads; ending it waits for neither."""
    (folder / "run").mkdir()
    gate = make_gate("--socket", str(folder / "run/hook.sock"))
    server = BareRepository(folder, "--daemon", str(folder / "run/hook.sock"))
    work.commit({"vocabulary.pkl": CLEAN})
    run = work.push(server)
    assert run.ok, run.output
    assert not server.data.exists()
    work.commit({"model.pkl": POISON})
    assert_refused(work.push(server), "os.system")
    assert gate.admin("/readyz").status == 200
    gate.process.send_signal(signal.SIGTERM)
    assert gate.process.wait(60) == 0


def test_a_second_daemon_leaves_the_socket_alone(folder, make_daemon):
    daemon = make_daemon()
    second = subprocess.run(daemon.arguments, capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode == 3 and "another daemon listens" in second.stderr
    assert can_connect(daemon.socket)
    (folder / "repositories").mkdir()
    said = hubgate("hook", "self-test", "--server", "bare", "--root", folder / "repositories", "--home", folder, "--daemon", daemon.socket)
    assert f"ok    the daemon answers at {daemon.socket}, policy guarded" in said.stdout, said.stdout + said.stderr
    # One that was killed leaves a socket behind that the next one takes.
    daemon.stop(signal.SIGKILL)
    assert daemon.socket.exists()
    daemon.start()
