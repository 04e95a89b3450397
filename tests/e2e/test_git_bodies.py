"""How requests of Git are framed: gzip, chunks, Expect; and packs that are larger than what the gate may hold."""
import gzip
import os
import re
import shutil
import socket
import subprocess

from git_web import BASE, POISON, Work, clone, fill, same, url
from git_web import gate, server, start, web, work  # noqa: F401 (fixtures)
from servers import ENVIRONMENT

LARGE = 300 << 20


def pkt(text: str) -> bytes:
    return b"%04x" % (len(text) + 4) + text.encode()


def test_gzip_requests_of_pulls(gate, web, server, work, tmp_path):
    fill(work, server, BASE)
    path = f"/{server.path.relative_to(web.root)}/git-upload-pack"
    body = pkt("command=ls-refs\n") + b"0001" + pkt("ref-prefix refs/heads/\n") + b"0000"
    fields = {"Content-Type": "application/x-git-upload-pack-request", "Git-Protocol": "version=2"}
    plain = gate.request("POST", path, body=body, headers=fields)
    packed = gate.request("POST", path, body=gzip.compress(body), headers={**fields, "Content-Encoding": "gzip"})
    assert plain.status == packed.status == 200 and b"refs/heads/main" in packed.body and packed.body == plain.body
    broken = gate.request("POST", path, body=gzip.compress(body)[:-9], headers={**fields, "Content-Encoding": "gzip"})
    assert broken.status == 400
    bomb = gate.request("POST", path, body=gzip.compress(b"0" * (64 << 20)), headers={**fields, "Content-Encoding": "gzip"})
    assert bomb.status == 400
    # Git packs what is long: many commits that the client has.
    out = tmp_path / "out"
    assert clone(gate, web, server, out).returncode == 0
    mine = Work(out)
    for number in range(60):
        mine.git("commit", "-q", "--allow-empty", "-m", str(number))
        mine.git("branch", f"b{number}")
    fill(work, server, {"more.json": b"[]\n"})
    trace = tmp_path / "trace"
    done = mine.run("-c", "protocol.version=0", "fetch", GIT_TRACE_CURL=str(trace))
    assert done.returncode == 0, done.stderr
    assert re.search("content-encoding: gzip", trace.read_text(), re.IGNORECASE)


def test_a_push_in_chunks_that_waits_for_the_go_ahead(gate, web, server, work):
    """What Git does above http.postBuffer, and proxies between with Expect."""
    tip = work.commit({**BASE, "more.bin": os.urandom(300_000)})
    done = work.run("-c", "http.postBuffer=65536", "push", url(gate, web, server), "main")
    assert done.returncode == 0, done.stderr
    assert server.refs() == {"refs/heads/main": tip}
    names = work.git("rev-list", "--objects", "--no-object-names", "main")
    pack = subprocess.run(["git", "-C", str(work.folder), "pack-objects", "-q", "--stdout"], env=ENVIRONMENT, input=names.encode(),
                          capture_output=True, check=True).stdout
    line = f"{'0' * 40} {tip} refs/heads/other".encode() + b"\0 report-status"
    body = b"%04x" % (len(line) + 4) + line + b"0000" + pack
    with socket.create_connection(("127.0.0.1", gate.port), timeout=60) as client:
        client.sendall(f"POST /{server.path.relative_to(web.root)}/git-receive-pack HTTP/1.1\r\nHost: 127.0.0.1:{gate.port}\r\n"
                       "Content-Type: application/x-git-receive-pack-request\r\nTransfer-Encoding: chunked\r\n"
                       "Expect: 100-continue\r\nConnection: close\r\n\r\n".encode())
        assert client.recv(100).startswith(b"HTTP/1.1 100 ")
        for at in range(0, len(body), 7000):
            piece = body[at:at + 7000]
            client.sendall(b"%x\r\n" % len(piece) + piece + b"\r\n")
        client.sendall(b"0\r\n\r\n")
        answer = b""
        while more := client.recv(65536):
            answer += more
    assert b"ok refs/heads/other" in answer, answer
    assert server.refs()["refs/heads/other"] == tip


def test_a_large_pack_in_bounded_memory(start, web, server, tmp_path):
    """300 MB that don't compress, pushed and cloned; the gate's own process never holds them."""
    gate = start()
    work = Work(tmp_path / "large")
    subprocess.run(["git", "init", "-q", "-b", "main", str(work.folder)], check=True, env=ENVIRONMENT)
    for name, value in (("core.compression", "0"), ("core.bigFileThreshold", "8m"), ("pack.window", "0")):
        work.git("config", name, value)
        server.git("config", name, value)
    header = b'{"a":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]}}' % (LARGE, LARGE)
    header += b" " * (-len(header) % 8)
    piece = os.urandom(4 << 20)
    try:
        with (work.folder / "model.safetensors").open("wb") as out:
            out.write(len(header).to_bytes(8, "little") + header)
            for _ in range(LARGE // len(piece)):
                out.write(piece)
        tip = work.commit({"README.md": b"# large\n"})
        (work.folder / "model.safetensors").unlink()
        done = work.run("push", url(gate, web, server), "main")
        assert done.returncode == 0, done.stderr
        assert server.refs() == {"refs/heads/main": tip}
        shutil.rmtree(work.folder)
        done = clone(gate, web, server, tmp_path / "out", "--no-checkout", "-c", "core.compression=0", "-c", "core.bigFileThreshold=8m")
        assert done.returncode == 0, done.stderr
        assert Work(tmp_path / "out").git("rev-parse", "HEAD") == tip
        peak = int(re.search(r"VmHWM:\s+(\d+) kB", open(f"/proc/{gate.process.pid}/status").read())[1])
        assert peak < 200_000, peak
        assert not list((gate.data / "spool").glob("git-*"))
    finally:
        for folder in (work.folder, tmp_path / "out", server.path):
            shutil.rmtree(folder, ignore_errors=True)


def test_a_second_clone_is_not_scanned_again(start, web, server, work, tmp_path):
    gate = start()
    fill(work, server, BASE)
    for name in ("one", "two"):
        done = clone(gate, web, server, tmp_path / name)
        assert done.returncode == 0, done.stderr
        same(server, tmp_path / name)


def test_a_file_that_is_fetched_late_is_named_where_its_path_is_known(start, web, server, work, tmp_path):
    """The gate remembers the names of trees it has let pass; after a restart it judges under no name, and refuses the same."""
    gate = start()
    fill(work, server, {**BASE, "deep/model.pkl": POISON})
    done = clone(gate, web, server, tmp_path / "out", "--filter=blob:none", "--no-checkout")
    assert done.returncode == 0, done.stderr
    blob = work.git("rev-parse", "main:deep/model.pkl")
    done = Work(tmp_path / "out").run("cat-file", "blob", blob)
    assert done.returncode != 0 and "deep/model.pkl" in done.stderr and "os.system" in done.stderr, done.stderr
    gate.stop()
    gate.start()
    done = Work(tmp_path / "out").run("cat-file", "blob", blob)
    assert done.returncode != 0 and "os.system" in done.stderr, done.stderr
