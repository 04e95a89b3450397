"""The hook and Git's own objects: tree tricks, links, pointers, history, names, and what fails around it."""
import hashlib
import os
import re
import subprocess
import time

import pytest

from gate import HUBGATE, hubgate
from hub.samples import COMMAND, call, pickle_of
from hub.store import make_pointer
from servers import BareRepository
from test_hook import CLEAN, POISON, WorkingCopy, assert_refused, pkt, server, work  # noqa: F401


def write_object(work, kind: str, data: bytes) -> str:
    done = subprocess.run(["git", "-C", str(work.path), "hash-object", "-w", "-t", kind, "--literally", "--stdin"],
                          input=data, capture_output=True, check=True)
    return done.stdout.decode().strip()


def tree_entry(mode: str, name: bytes, oid: str) -> bytes:
    return mode.encode() + b" " + name + b"\0" + bytes.fromhex(oid)


def commit_of(work, tree: str) -> str:
    body = f"tree {tree}\nauthor A <a@a.invalid> 1700000000 +0000\ncommitter A <a@a.invalid> 1700000000 +0000\n\nx\n"
    return write_object(work, "commit", body.encode())


def push_objects(work, server, ref: str, head: str, objects: list[str]) -> bytes:
    """Speaks receive-pack itself: no client checks what it sends."""
    pack = subprocess.run(["git", "-C", str(work.path), "pack-objects", "--stdout", "-q"],
                          input=("\n".join(objects) + "\n").encode(), capture_output=True, check=True).stdout
    line = f"{'0' * 40} {head} {ref}\0report-status side-band-64k\n".encode()
    done = subprocess.run(["git", "receive-pack", str(server.path)], input=pkt(line) + b"0000" + pack, capture_output=True,
                          check=False, timeout=60)
    # Without the frames of the side band, which cut lines anywhere.
    said, rest = b"", done.stdout
    while rest:
        length = max(4, int(rest[:4], 16))
        payload, rest = rest[4:length], rest[length:]
        said += payload[1:] if payload[:1] in (b"\1", b"\2", b"\3") else payload
    return said


@pytest.mark.parametrize("mode, name, rule", [
    ("40000", b".GIT", b"git-tree-name"),
    ("100644", b"git~1", b"git-tree-name"),
    ("100644", b".g\xe2\x80\x8cit", b"git-tree-name"),
    ("100644", b"..", b"git-tree-name"),
    ("100644", b"a\\..\\..\\x", b"git-tree-name"),
    ("120000", b".gitmodules", b"git-tree-control-link"),
])
def test_tree_tricks_are_refused(server, work, mode, name, rule):  # noqa: F811
    blob = write_object(work, "blob", b"x\n")
    inner = write_object(work, "tree", tree_entry("100644", b"x", blob))
    tree = write_object(work, "tree", tree_entry(mode, name, inner if mode == "40000" else blob))
    head = commit_of(work, tree)
    answer = push_objects(work, server, "refs/heads/main", head, [blob, inner, tree, head])
    assert rule in answer and b"ng refs/heads/main" in answer, answer
    assert server.refs() == {}


def test_a_name_twice_in_a_tree_is_refused_and_both_files_are_judged(server, work):  # noqa: F811
    good, bad = write_object(work, "blob", b"fine\n"), write_object(work, "blob", POISON)
    tree = write_object(work, "tree", tree_entry("100644", b"model.pkl", good) + tree_entry("100644", b"model.pkl", bad))
    head = commit_of(work, tree)
    answer = push_objects(work, server, "refs/heads/main", head, [good, bad, tree, head])
    assert b"git-tree-order" in answer and b"os.system" in answer, answer


def test_a_malformed_tree_that_nothing_names_is_refused(server, work):  # noqa: F811
    head = work.commit({"README.md": b"one\n"})
    names = [line.split()[0] for line in work.git("rev-list", "--objects", "HEAD").output.splitlines() if line]
    odd = write_object(work, "tree", tree_entry("100644", b"..", names[-1]))
    answer = push_objects(work, server, "refs/heads/main", head, [*names, odd])
    assert b"git-tree-name" in answer and b"named by no ref" in answer, answer


@pytest.mark.parametrize("target, refused", [("/etc/passwd", True), ("../../outside", True), (".git/config", True),
                                             ("README.md", False)])
def test_links(server, work, target, refused):  # noqa: F811
    work.commit({"README.md": b"one\n"})
    (work.path / "link").symlink_to(target)
    work.git("add", "link")
    work.git("commit", "-q", "-m", "link")
    run = work.push(server)
    if refused:
        assert_refused(run, "git-link-outside", "link -> " + target)
    else:
        assert run.ok, run.output


@pytest.mark.parametrize("change, problem", [
    (lambda text: text.replace(b"\n", b"\r\n"), "carriage returns"),
    (lambda text: text.replace(b"oid", b"ext-0-evil sha256:" + b"a" * 64 + b"\noid"), "extensions"),
    (lambda text: text + b"\n" * 1000, "1024 bytes"),
])
def test_pointers_that_are_not_canonical_are_followed_and_named(server, work, change, problem):  # noqa: F811
    server.put_lfs(CLEAN)
    work.git("config", "core.autocrlf", "false")
    work.commit({"model.pkl": change(make_pointer(hashlib.sha256(CLEAN).hexdigest(), len(CLEAN)))})
    run = work.push(server)
    assert run.ok and "lfs-pointer-form" in run.output and problem in run.output, run.output

    server.put_lfs(POISON)
    work.commit({"model.pkl": change(make_pointer(hashlib.sha256(POISON).hexdigest(), len(POISON)))})
    assert_refused(work.push(server), "model.pkl", "os.system")


def test_git_lfs_itself(server, work):  # noqa: F811
    """The real client uploads before it pushes; the hook finds the bytes where git-lfs put them."""
    work.git("lfs", "install", "--local")
    work.git("lfs", "track", "*.pkl")
    work.git("remote", "add", "origin", f"file://{server.path}")
    work.commit({"vocabulary.pkl": CLEAN})
    assert work.git("cat-file", "-p", "HEAD:vocabulary.pkl").output.startswith("version https://git-lfs")
    run = work.git("push", "origin", "main", check=False)
    assert run.ok, run.output
    before = server.refs()
    work.commit({"model.pkl": POISON})
    run = work.git("push", "origin", "main", check=False)
    assert_refused(run, "model.pkl", "os.system")
    work.git("push", "--no-verify", "origin", "main", check=False)
    assert server.refs() == before


def test_a_pointer_without_its_object_says_what_to_do(server, work):  # noqa: F811
    oid = hashlib.sha256(b"never uploaded").hexdigest()
    work.commit({"weights/model.bin": make_pointer(oid, 14)})
    assert_refused(work.push(server), "is not on the server", oid, "weights/model.bin", "git lfs push")


def test_a_copy_of_old_bytes_to_a_new_path_is_judged_there(server, work):  # noqa: F811
    """Only the tree is new; the bytes are in the repository since before the hook."""
    hook = server.hook.read_text()
    server.hook.unlink()
    work.commit({"notes/old.txt": POISON})
    assert work.push(server).ok
    server.set_hook(hook.splitlines()[1])
    work.commit({"model.pkl": POISON})
    assert_refused(work.push(server), "model.pkl", "os.system")


def test_the_baseline_of_a_branch_is_what_it_named_before(server, work):  # noqa: F811
    hook = server.hook.read_text()
    server.hook.unlink()
    work.commit({"model.pkl": POISON})
    work.commit({"README.md": b"one\n"})
    assert work.push(server).ok
    server.set_hook(hook.splitlines()[1])
    work.commit({"README.md": b"two\n"})
    assert work.push(server).ok
    work.git("checkout", "-q", "-b", "side", "HEAD~1")
    work.commit({"side.md": b"side\n"})
    work.git("checkout", "-q", "main")
    work.git("merge", "-q", "side", "-m", "merge")
    run = work.push(server)
    assert run.ok, run.output  # behind the merge is only what main named before
    assert_refused(work.push(server, "main:refs/heads/copy"), "model.pkl", "refs/heads/copy")
    work.commit({"model.pkl": None})
    assert work.push(server).ok, "taking the poison away must be possible"


def test_history_accept_takes_what_any_ref_named(tmp_path):
    server = BareRepository(tmp_path, config="hook:\n  history: accept\n")
    work = WorkingCopy(tmp_path)
    hook = server.hook.read_text()
    server.hook.unlink()
    work.commit({"model.pkl": POISON})
    assert work.push(server, "main:refs/heads/old").ok
    server.set_hook(hook.splitlines()[1])
    assert work.push(server, "main:refs/heads/new").ok
    work.commit({"other.pkl": POISON})
    assert_refused(work.push(server, "main:refs/heads/new"), "other.pkl")


def test_what_was_judged_once_is_not_judged_again(server, work):  # noqa: F811
    for number in range(5):
        work.commit({f"file{number}.md": b"%d\n" % number})
    assert work.push(server).ok
    assert work.push(server, "main:refs/heads/again").ok
    lines = [line for file in sorted((server.data / "audit").glob("*.jsonl")) for line in file.read_text().splitlines()]
    pushes = [line for line in lines if '"event":"push"' in line]
    assert len(pushes) == 2 and '"commits":5' in pushes[0] and '"commits":0' in pushes[1], pushes


def test_alternates_with_a_colon_in_their_name(tmp_path):
    folder = tmp_path / 'with:colon and "quotes"'
    folder.mkdir()
    server, work = BareRepository(folder), WorkingCopy(tmp_path)
    data = tmp_path / "data"
    server.set_hook(f"exec {HUBGATE} hook pre-receive --data {data}")
    work.commit({"README.md": b"one\n"})
    run = work.push(server)
    assert run.ok, run.output
    work.commit({"README.md": b"two\n"})
    run = work.push(server)
    assert run.ok, run.output


def test_the_answer_fits_one_screen_and_the_rest_is_in_the_log(server, work):  # noqa: F811
    for number in range(40):
        work.commit({f"model{number:02}.pkl": pickle_of(call("os", "system", COMMAND + f" #{number}"))})
    run = work.push(server)
    assert_refused(run, "40 of 40", "and 34 more (hubgate audit show HG-")
    lines = [line for line in run.output.splitlines() if line.startswith("remote: hubgate:")]
    assert len(lines) <= 25 and max(len(line.rstrip()) for line in lines) <= 100, run.output  # "checking ..." and one screen
    reference = re.search(r"audit show (HG-\w+)", run.output)[1]
    shown = hubgate("audit", "show", reference, "--data", server.data)
    assert shown.returncode == 0 and "os.system" in shown.stdout, shown


def test_the_first_commit_that_brings_a_path_is_named(server, work):  # noqa: F811
    work.commit({"README.md": b"one\n"})
    guilty = work.commit({"model.pkl": POISON})
    work.commit({"README.md": b"two\n"})
    assert_refused(work.push(server), f"commit {guilty[:12]}")


def test_audit_preset_lets_pass_and_records(tmp_path):
    server, work = BareRepository(tmp_path, "--policy", "audit"), WorkingCopy(tmp_path)
    work.commit({"model.pkl": POISON, "big.bin": make_pointer("a" * 64, 5)})
    run = work.push(server)
    assert run.ok, run.output
    text = "".join(file.read_text() for file in (server.data / "audit").glob("*.jsonl"))
    assert "model.pkl" in text and "lfs-object-missing" in text


def test_limits_refuse(tmp_path):
    server, work = BareRepository(tmp_path, config="hook:\n  max_paths: 10\n"), WorkingCopy(tmp_path)
    work.commit({f"file{number}.md": b"%d\n" % number for number in range(20)})
    assert_refused(work.push(server), "hook.max_paths")


def test_a_bomb_of_trees_is_refused_quickly(tmp_path):
    server, work = BareRepository(tmp_path, config="hook:\n  max_paths: 20000\n"), WorkingCopy(tmp_path)
    objects = [write_object(work, "blob", b"x\n")]
    tree = write_object(work, "tree", b"".join(tree_entry("100644", b"f%d" % n, objects[0]) for n in range(10)))
    objects.append(tree)
    for _ in range(9):
        tree = write_object(work, "tree", b"".join(tree_entry("40000", b"d%d" % n, tree) for n in range(10)))
        objects.append(tree)
    head = commit_of(work, tree)
    started = time.monotonic()
    answer = push_objects(work, server, "refs/heads/main", head, [*objects, head])
    assert b"hook.max_paths" in answer and b"ng refs/heads/main" in answer, answer
    assert time.monotonic() - started < 30


def test_killed_in_the_middle_nothing_passes_and_the_next_push_works(server, work):  # noqa: F811
    work.commit({f"run{number}.md": b"%d\n" % number * 50 for number in range(3000)})
    line = server.hook.read_text().splitlines()[1].removeprefix("exec ")
    server.set_hook(f"{line} & pid=$!; sleep 0.1; kill -9 $pid; wait $pid")
    run = work.push(server)
    assert not run.ok and server.refs() == {}, run.output
    server.set_hook("exec " + line)
    run = work.push(server)
    assert run.ok, run.output
    check = hubgate("audit", "verify", "--data", server.data)
    assert check.returncode == 0, check


def test_a_full_disk_refuses(tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(small)], check=True)
    try:
        server, work = BareRepository(tmp_path), WorkingCopy(tmp_path)
        line = server.hook.read_text().splitlines()[1].replace(str(server.data), str(small / "data"))
        server.set_hook(line)
        work.commit({f"run{number}.md": os.urandom(20).hex().encode() for number in range(5000)})
        run = work.push(server)
        assert not run.ok and "hubgate: " in run.output, run.output
        assert server.refs() == {}
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


def test_a_read_only_data_folder_refuses(tmp_path):
    small = tmp_path / "ro"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(small)], check=True)
    try:
        server, work = BareRepository(tmp_path), WorkingCopy(tmp_path)
        server.set_hook(server.hook.read_text().splitlines()[1].replace(str(server.data), str(small / "data")))
        work.commit({"README.md": b"one\n"})
        assert_refused(work.push(server), "could not do its work")
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


def test_a_scan_that_takes_too_long_refuses(tmp_path):
    server, work = BareRepository(tmp_path, config="hook:\n  timeout: 1ms\n"), WorkingCopy(tmp_path)
    work.commit({f"run{number}.md": b"%d\n" % number * 50 for number in range(1000)})
    assert_refused(work.push(server), "hook.timeout")
