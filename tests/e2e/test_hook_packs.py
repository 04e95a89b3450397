"""Packs of all kinds through the hook: deltas to large bases, other id lengths, thin packs, shallow and partial clients."""
import random
import subprocess

from hub.samples import COMMAND, call, pickle_of
from servers import BareRepository
from test_hook import CLEAN, POISON, WorkingCopy, assert_refused, server, work  # noqa: F401


def packed(server):  # noqa: F811
    """Every push stays a pack in the quarantine."""
    subprocess.run(["git", "-C", str(server.path), "config", "receive.unpackLimit", "1"], check=True)


def noise(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


def test_a_delta_to_a_base_that_is_too_large_for_memory(server, work):  # noqa: F811
    packed(server)
    base = noise(1, 17 << 20)
    work.commit({"data.bin": base})
    work.commit({"data.bin": base[:9 << 20] + b"changed" + base[9 << 20:]})
    work.git("repack", "-adfq")
    index = next((work.path / ".git/objects/pack").glob("*.idx"))
    listed = work.git("verify-pack", "-v", str(index)).output
    assert "chain length = 1: 1 object" in listed, listed
    run = work.push(server)
    # Noise is opaque: it passes with a word about it, once it could be read.
    assert run.ok and "data.bin" in run.output and "could not do its work" not in run.output, run.output


def test_a_repository_with_sha256_ids(tmp_path):
    server, work = BareRepository(tmp_path), WorkingCopy(tmp_path)
    hook = server.hook.read_text()
    subprocess.run(["rm", "-rf", str(server.path), str(work.path / ".git")], check=True)
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", "--object-format=sha256", str(server.path)], check=True)
    server.set_hook(hook.splitlines()[1])
    work.git("init", "-q", "-b", "main", "--object-format=sha256")
    head = work.commit({"README.md": b"one\n", "vocabulary.pkl": CLEAN})
    run = work.push(server)
    assert run.ok and len(head) == 64, run.output
    work.commit({"model.pkl": POISON})
    assert_refused(work.push(server), "model.pkl", "os.system")
    assert server.refs() == {"refs/heads/main": head}


def test_thin_packs_and_shallow_and_partial_clients(server, work, tmp_path):  # noqa: F811
    packed(server)
    text = "".join(f"line {number}\n" for number in range(3000)).encode()
    for number in range(3):
        work.commit({"README.md": text + b"%d\n" % number})
    assert work.push(server).ok
    subprocess.run(["git", "-C", str(server.path), "config", "uploadpack.allowFilter", "true"], check=True)
    for name, options in (("shallow", ["--depth=1"]), ("partial", ["--filter=blob:none"])):
        client = WorkingCopy(tmp_path / name)
        client.git("fetch", "-q", *options, f"file://{server.path}", "main")
        client.git("checkout", "-q", "-b", name, "FETCH_HEAD")
        client.commit({f"{name}.md": text + b"more\n"})
        run = client.push(server, f"{name}:refs/heads/{name}", url=f"file://{server.path}")
        assert run.ok, run.output
        client.commit({"model.pkl": pickle_of(call("os", "system", COMMAND + f" # {name}"))})
        assert_refused(client.push(server, f"{name}:refs/heads/{name}", url=f"file://{server.path}"), "model.pkl")


def test_objects_of_an_alternate(server, work, tmp_path):  # noqa: F811
    """A fork whose old objects lie in another repository's folder."""
    work.commit({"README.md": b"one\n"})
    assert work.push(server).ok
    (tmp_path / "fork").mkdir()
    fork = BareRepository(tmp_path / "fork")
    (fork.path / "objects/info/alternates").write_text(f"# the pool\n{server.path}/objects\n")
    work.commit({"README.md": b"two\n"})
    run = work.push(fork)
    assert run.ok, run.output
    work.commit({"model.pkl": POISON})
    assert_refused(work.push(fork), "model.pkl")


def test_a_pack_that_is_damaged_behind_gits_back_is_refused(server, work):  # noqa: F811
    """The index in the quarantine names an object that the pack does not have under that id."""
    packed(server)
    line = server.hook.read_text().splitlines()[1]
    server.set_hook("for f in $GIT_OBJECT_DIRECTORY/pack/*.idx; do chmod u+w $f; "
                    "printf '\\377' | dd of=$f bs=1 seek=1040 conv=notrunc status=none; done\n" + line)
    work.commit({"README.md": b"one\n", "other.md": b"two\n"})
    run = work.push(server)
    assert not run.ok and "could not do its work" in run.output, run.output
    assert server.refs() == {}
