"""The pre-receive hook: what a push brings is read whole, and a refusal says why."""
import hashlib
import re
import subprocess
import threading
import time

import pytest

from clients import Clients
from gate import HUBGATE, hubgate
from hub.samples import COMMAND, call, large_pickle, models, pickle_of, safetensors, torch_zip, SHAPES
from hub.store import make_pointer
from servers import BareRepository, HttpServer, SshServer

POISON = pickle_of(call("os", "system", COMMAND))
CLEAN = models()["demo/clean"]["vocabulary.pkl"]


@pytest.fixture
def server(tmp_path):
    return BareRepository(tmp_path)


@pytest.fixture
def work(tmp_path):
    """A person's working copy: commit(files) and push(url, refs)."""
    return WorkingCopy(tmp_path)


class WorkingCopy:
    def __init__(self, folder):
        self.clients = Clients("http://127.0.0.1:1", folder / "person")
        self.path = folder / "work"
        self.path.mkdir()
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments, check=True, **environment):
        run = self.clients.run("git", *arguments, cwd=self.path, timeout=300, **environment)
        assert run.ok or not check, run.output
        return run

    def commit(self, files, message="work"):
        for name, data in files.items():
            path = self.path / name
            if data is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD").output.strip()

    def push(self, server, *refs, url=None, **environment):
        return self.git("push", url or str(server.path), *(refs or ("main",)), check=False, **environment)


def assert_refused(run, *words):
    assert not run.ok, run.output
    assert "pre-receive hook declined" in run.output, run.output
    assert "remote: hubgate: " in run.output, run.output
    unwrapped = re.sub(r"\s*\nremote: hubgate: {6,}", " ", run.output)
    for word in words:
        assert word in run.output or word in unwrapped, (word, run.output)


def test_clean_push_passes(server, work):
    head = work.commit({"vocabulary.pkl": CLEAN, "model.safetensors": safetensors({"a": 64}), "README.md": b"# hi\n"})
    run = work.push(server)
    assert run.ok, run.output
    assert server.refs() == {"refs/heads/main": head}


def test_poisoned_push_is_refused_with_everything_a_person_needs(server, work):
    work.commit({"README.md": b"# hi\n"})
    assert work.push(server).ok
    before = server.refs()
    commit = work.commit({"models/deep/model.pkl": POISON})
    run = work.push(server)
    assert_refused(run, "refs/heads/main", commit[:8], "models/deep/model.pkl", "os.system", COMMAND.split()[1], "waiver",
                   hashlib.sha256(POISON).hexdigest())
    assert server.refs() == before
    lines = (server.data / "audit").glob("*.jsonl")
    assert any("models/deep/model.pkl" in file.read_text() for file in lines)


@pytest.fixture
def ssh(tmp_path):
    ssh = SshServer(tmp_path / "ssh")
    yield ssh
    ssh.stop()


@pytest.fixture
def http(tmp_path):
    http = HttpServer(tmp_path / "http", tmp_path)
    yield http
    http.stop()


def test_over_ssh(server, work, ssh):
    head = work.commit({"vocabulary.pkl": CLEAN})
    run = work.push(server, url=ssh.url(server), GIT_SSH_COMMAND=ssh.command)
    assert run.ok, run.output
    work.commit({"model.bin": torch_zip(SHAPES, poison=call("os", "system", COMMAND))})
    assert_refused(work.push(server, url=ssh.url(server), GIT_SSH_COMMAND=ssh.command), "model.bin", "os.system")
    assert server.refs() == {"refs/heads/main": head}


def test_over_smart_http(server, work, http):
    head = work.commit({"vocabulary.pkl": CLEAN})
    run = work.push(server, url=http.url(server))
    assert run.ok, run.output
    work.commit({"model.bin": torch_zip(SHAPES, poison=call("os", "system", COMMAND))})
    assert_refused(work.push(server, url=http.url(server)), "model.bin", "os.system")
    assert server.refs() == {"refs/heads/main": head}


def test_added_and_removed_in_the_same_push(server, work):
    """A poisoned file in the middle of the history is still in the repository."""
    work.commit({"README.md": b"one\n"})
    commit = work.commit({"model.pkl": POISON})
    work.commit({"model.pkl": None})
    assert_refused(work.push(server), "model.pkl", commit[:8])


def test_every_ref_line_is_read(server, work):
    """The poison is on the last of several branches."""
    work.commit({"README.md": b"one\n"})
    for number in range(5):
        work.git("branch", f"honest{number}")
    work.git("checkout", "-q", "-b", "zz-last")
    work.commit({"model.pkl": POISON})
    assert_refused(work.push(server, "--all"), "refs/heads/zz-last", "model.pkl")
    assert server.refs() == {}


def test_two_thousand_refs(server, work):
    head = work.commit({"README.md": b"one\n"})
    (work.path / ".git/packed-refs").write_text("".join(f"{head} refs/heads/b{n:04}\n" for n in range(2000)))
    run = work.push(server, "refs/heads/*:refs/heads/*")
    assert run.ok, run.output[-500:]
    assert len(server.refs()) == 2001


def test_deleting_only(server, work):
    work.commit({"README.md": b"one\n"})
    work.git("branch", "other")
    assert work.push(server, "--all").ok
    run = work.push(server, ":refs/heads/other")
    assert run.ok, run.output
    assert list(server.refs()) == ["refs/heads/main"]


def test_new_branch_at_an_old_commit(server, work):
    work.commit({"README.md": b"one\n"})
    assert work.push(server).ok
    run = work.push(server, "main:refs/heads/again")
    assert run.ok, run.output


def test_a_reference_to_what_was_there_before_the_gate(server, work):
    """Law 5: a branch to poisoned bytes that came before the hook was installed does not pass."""
    hook = server.hook.read_text()
    server.hook.unlink()
    work.commit({"model.pkl": POISON})
    assert work.push(server, "main:refs/heads/old").ok
    server.set_hook(hook.splitlines()[1])
    assert_refused(work.push(server, "main:refs/heads/new"), "model.pkl", "os.system")


@pytest.mark.parametrize("annotated", [False, True])
def test_a_tag_straight_to_a_blob(server, work, annotated):
    work.commit({"README.md": b"one\n"})
    (work.path / "loose").write_bytes(POISON)
    blob = work.git("hash-object", "-w", "loose").output.strip()
    if annotated:
        work.git("tag", "-a", "-m", "t", "poison", blob)
    else:
        work.git("tag", "poison", blob)
    assert_refused(work.push(server, "main", "poison"), "refs/tags/poison", "os.system")
    assert server.refs() == {}


def test_a_tag_straight_to_a_tree(server, work):
    work.commit({"sub/model.pkl": POISON})
    work.git("tag", "poison", work.git("rev-parse", "HEAD:sub").output.strip())
    work.git("checkout", "-q", "--orphan", "fresh")
    assert_refused(work.push(server, "poison"), "refs/tags/poison", "os.system")


def test_notes_and_other_refs(server, work):
    work.commit({"README.md": b"one\n"})
    (work.path / "loose").write_bytes(POISON)
    blob = work.git("hash-object", "-w", "loose").output.strip()
    work.git("notes", "add", "-C", blob)
    assert_refused(work.push(server, "main", "refs/notes/commits"), "refs/notes/commits", "os.system")


def pkt(line: bytes) -> bytes:
    return b"%04x" % (len(line) + 4) + line


def test_unreachable_objects_stuffed_into_the_pack(server, work):
    """The server keeps every object of an accepted pack, so each is read, reachable or not."""
    head = work.commit({"README.md": b"one\n"})
    (work.path / "loose").write_bytes(POISON)
    blob = work.git("hash-object", "-w", "loose").output.strip()
    names = work.git("rev-list", "--objects", "HEAD").output.split("\n")
    wanted = "\n".join([line.split()[0] for line in names if line] + [blob]) + "\n"
    pack = subprocess.run(["git", "-C", str(work.path), "pack-objects", "--stdout", "-q"], input=wanted.encode(),
                          capture_output=True, check=True).stdout
    line = f"{'0' * 40} {head} refs/heads/main\0report-status side-band-64k\n".encode()
    answer = subprocess.run(["git", "receive-pack", str(server.path)], input=pkt(line) + b"0000" + pack, capture_output=True,
                            check=False, timeout=60)
    assert b"hubgate: " in answer.stdout and b"os.system" in answer.stdout, answer.stdout[-2000:]
    assert b"ng refs/heads/main" in answer.stdout
    assert server.refs() == {} and blob not in server.objects()


LFS_ROOTS = {
    "git-lfs in the repository": ("lfs/objects/{a}/{b}/{oid}", False, ""),
    "a shared store, rest of the oid": ("{a}/{b}/{rest}", True, "{{root}}/{{0:2}}/{{2:4}}/{{4:}}"),
    "a shared store, whole oid": ("{a}/{b}/{oid}", True, "{{root}}/{{0:2}}/{{2:4}}/{{oid}}"),
}


@pytest.mark.parametrize("layout", LFS_ROOTS)
@pytest.mark.parametrize("kind", ["clean", "poisoned", "absent", "other bytes", "wrong size"])
def test_lfs_pointers(tmp_path, layout, kind):
    template, shared, pattern = LFS_ROOTS[layout]
    store = tmp_path / "store"
    config = ""
    if shared:
        line = pattern.replace("{{", "{").replace("}}", "}").replace("{root}", str(store))
        config = f"lfs:\n  paths:\n    - \"{line}\"\n"
    server = BareRepository(tmp_path, config=config)
    work = WorkingCopy(tmp_path)
    data = CLEAN if kind in ("clean", "other bytes", "wrong size") else POISON
    oid = hashlib.sha256(data).hexdigest()
    stored = {"clean": data, "poisoned": data, "absent": None, "other bytes": POISON, "wrong size": data}[kind]
    if stored is not None:
        server.put_lfs(stored, oid, template, store if shared else None)
    size = len(data) + (7 if kind == "wrong size" else 0)
    work.commit({"weights/model.pkl": make_pointer(oid, size)})
    run = work.push(server)
    if kind == "clean":
        assert run.ok, run.output
        return
    assert_refused(run, "weights/model.pkl", oid[:12])
    if kind == "poisoned":
        assert "os.system" in run.output


def test_lfs_link_out_of_the_store_is_not_followed(server, work, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(CLEAN)
    oid = hashlib.sha256(CLEAN).hexdigest()
    path = server.path / f"lfs/objects/{oid[:2]}/{oid[2:4]}/{oid}"
    path.parent.mkdir(parents=True)
    path.symlink_to(secret)
    work.commit({"model.pkl": make_pointer(oid, len(CLEAN))})
    run = work.push(server)
    assert run.ok or "hubgate: " in run.output


@pytest.mark.parametrize("pointer", [
    b"version https://git-lfs.github.com/spec/v1\noid sha256:../../../../etc/passwd\nsize 10\n",
    b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize -1\n",
    b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"A" * 64 + b"\nsize 99999999999999999999999\n",
])
def test_hostile_pointers_are_refused_or_text(server, work, pointer):
    work.commit({"model.bin": pointer})
    run = work.push(server)
    assert "terminate called" not in run.output
    assert run.ok or "hubgate: " in run.output, run.output


def hook_memory(stop, peak):
    """Peak resident bytes of hubgate processes, anonymous memory only (a mapped pack is not counted)."""
    while not stop.is_set():
        total = 0
        done = subprocess.run(["pgrep", "-f", f"{HUBGATE} hook"], capture_output=True, text=True, check=False)
        for pid in done.stdout.split():
            try:
                status = open(f"/proc/{pid}/status").read()
            except OSError:
                continue
            total += sum(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon:"))
        peak[0] = max(peak[0], total * 1024)
        time.sleep(0.02)


@pytest.mark.parametrize("loose", [False, True])
def test_a_blob_of_256_megabytes_in_bounded_memory(server, work, loose):
    server.git("config", "receive.unpackLimit", "100" if loose else "1")
    work.git("config", "core.compression", "0")
    path = work.path / "model.safetensors"
    head = safetensors({"w": 256})[:8]
    size = 256 << 20
    header = b'{"w":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]}}' % (size, size)
    header += b" " * (-len(header) % 8)
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        block = hashlib.shake_128(head).digest(1 << 20)
        for _ in range(256):
            file.write(block)
    stop, peak = threading.Event(), [0]
    work.git("add", "-A")
    work.git("commit", "-q", "-m", "big")
    path.unlink()  # the disk of a CI machine is small
    watcher = threading.Thread(target=hook_memory, args=(stop, peak))
    watcher.start()
    try:
        run = work.push(server)
    finally:
        stop.set()
        watcher.join()
    assert run.ok, run.output
    assert 0 < peak[0] < 128 << 20, peak


def test_a_large_poisoned_blob_in_a_pack(server, work):
    server.git("config", "receive.unpackLimit", "1")
    work.commit({"model.pkl": large_pickle(40, tail=call("os", "system", COMMAND))})
    assert_refused(work.push(server), "model.pkl", "os.system")


def test_annotated_objects_pass_with_their_lines(server, work):
    work.commit({"model.pkl": models()["demo/unknown-class"]["model.pkl"]})
    run = work.push(server)
    assert run.ok, run.output
    assert "remote: hubgate: " in run.output and "PrivateLayer" in run.output and "model.pkl" in run.output, run.output


def test_a_waiver_lets_it_pass(server, work):
    work.commit({"model.pkl": POISON})
    refused = work.push(server)
    assert_refused(refused)
    reference = re.search(r"hubgate waiver add (\S+) --reason", refused.output)[1]
    assert f"sha256:    {hashlib.sha256(POISON).hexdigest()}" in refused.output
    added = hubgate("waiver", "add", reference, "--data", server.data, "--reason", "reviewed, a test",
                    "--approver", "security@example.invalid", "--expires", "30d")
    assert added.returncode == 0, added.stderr
    run = work.push(server)
    assert run.ok, run.output


def test_names_cannot_write_to_the_pushers_terminal(server, work):
    work.commit({"evil\x1b[2J\x07\u202e.pkl": POISON})
    run = work.push(server)
    assert not run.ok and "os.system" in run.output, run.output
    assert "\x1b[2J" not in run.output and "\u202e" not in run.output


@pytest.mark.parametrize("break_it", ["data folder is a file", "no rights", "bad configuration", "bad policy", "no objects folder"])
def test_any_failure_refuses(tmp_path, break_it):
    options, config = [], ""
    if break_it == "bad configuration":
        config = "hook:\n  nonsense: 1\n"
    if break_it == "bad policy":
        (tmp_path / "policy.yaml").write_text("rules: nonsense\n")
        options = ["--policy", str(tmp_path / "policy.yaml")]
    server = BareRepository(tmp_path, *options, config=config)
    if break_it == "data folder is a file":
        server.data.write_text("")
    if break_it == "no rights":
        server.data.mkdir()
        (server.data / "audit").symlink_to("/proc/1/absent")
    if break_it == "no objects folder":
        server.set_hook(f"GIT_OBJECT_DIRECTORY=/absent GIT_QUARANTINE_PATH=/absent {server.hook.read_text().splitlines()[1]}")
    work = WorkingCopy(tmp_path)
    work.commit({"README.md": b"one\n"})
    assert_refused(work.push(server))
    assert server.refs() == {}


@pytest.mark.parametrize("lines", [b"", b"nonsense\n", b"0 0 0\n", b"\xff\xfe\n", b"a" * 100_000 + b"\n",
                                   b"0" * 40 + b" " + b"1" * 40 + b" refs/heads/main\n", b"0" * 40 + b" " + b"0" * 40])
def test_bad_ref_lines_refuse(server, lines):
    done = subprocess.run([HUBGATE, "hook", "pre-receive", "--data", str(server.data)], cwd=server.path, input=lines,
                          env={"PATH": "/usr/bin:/bin", "GIT_DIR": "."}, capture_output=True, check=False, timeout=30)
    if lines == b"":
        assert done.returncode in (0, 1)
    else:
        assert done.returncode != 0 and b"hubgate: " in done.stderr + done.stdout, done


def test_a_submodule_and_a_symlink_are_no_trouble(server, work):
    head = work.commit({"README.md": b"one\n"})
    (work.path / "link").symlink_to("README.md")
    work.git("update-index", "--add", "--cacheinfo", f"160000,{head},module")
    work.git("add", "link")
    work.git("commit", "-q", "-m", "link and module")
    run = work.push(server)
    assert run.ok, run.output


def test_force_push_and_shallow_clone(server, work, tmp_path):
    work.commit({"README.md": b"one\n"})
    assert work.push(server).ok
    work.git("commit", "-q", "--amend", "-m", "again")
    assert work.push(server, "-f", "main").ok
    assert work.clients.run("git", "clone", "-q", "--depth", "1", f"file://{server.path}", tmp_path / "shallow").ok
    (tmp_path / "shallow/new.txt").write_text("new\n")
    work.clients.run("git", "add", "-A", cwd=tmp_path / "shallow")
    work.clients.run("git", "commit", "-q", "-m", "new", cwd=tmp_path / "shallow")
    run = work.clients.run("git", "push", "origin", "main", cwd=tmp_path / "shallow")
    assert run.ok, run.output
