"""ICAP: Debian's squid asks the gate, and what a client of our own sends byte by byte."""
import os
import pickle
import re
import socket
import subprocess
import time

import pytest

from clients import Clients
from gate import free_port

CLEAN = pickle.dumps({"weights": list(range(2000))}, protocol=4)
SQUID = """
pid_filename none
access_log none
cache_log {folder}/squid.log
cache_store_log none
cache deny all
cache_effective_user {user}
shutdown_lifetime 0 seconds
http_port 127.0.0.1:{port}
http_access allow all
visible_hostname squid.invalid
icap_enable on
icap_preview_enable on
icap_send_client_ip on
icap_service_failure_limit -1
icap_service pulls respmod_precache icap://127.0.0.1:{icap}/respmod bypass=off
icap_service pushes reqmod_precache icap://127.0.0.1:{icap}/reqmod bypass=off
adaptation_access pulls allow all
adaptation_access pushes allow all
"""


@pytest.fixture
def gate(make_gate):
    made = make_gate(config=f"icap: 127.0.0.1:{free_port()}\n")
    made.icap_port = int(re.search(r"icap://127.0.0.1:(\d+)/", made.log.read_text())[1])
    return made


@pytest.fixture
def squid(gate, tmp_path):
    port = free_port()
    folder = tmp_path / "squid"
    folder.mkdir()
    folder.chmod(0o777)
    tmp_path.chmod(0o755)
    (folder / "squid.conf").write_text(SQUID.format(folder=folder, port=port, icap=gate.icap_port, user="proxy" if os.geteuid() == 0 else "nobody"))
    # A name of its own: what squid shares between processes is called after it.
    process = subprocess.Popen(["/usr/sbin/squid", "-N", "-n", f"icap{port}", "-f", str(folder / "squid.conf")], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(400):
        with socket.socket() as sock:
            if sock.connect_ex(("127.0.0.1", port)) == 0:
                break
        assert process.poll() is None, (folder / "squid.log").read_text()[-2000:]
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@pytest.fixture
def behind(squid, hub, tmp_path):
    return Clients(hub.url, tmp_path / "home", http_proxy=squid, HTTP_PROXY=squid, no_proxy="", NO_PROXY="", HF_HUB_DISABLE_XET="1")


def test_clean_files_come_through_squid_byte_by_byte(behind, samples, tmp_path):
    run = behind.python(f"""
        import huggingface_hub
        huggingface_hub.snapshot_download("demo/clean", local_dir={str(tmp_path / "out")!r})
    """)
    assert run.ok, run.output
    for path, data in samples["demo/clean"].items():
        assert (tmp_path / "out" / path).read_bytes() == data, path


def test_a_poisoned_file_is_refused_with_its_reason(behind, gate, samples, tmp_path):
    run = behind.hub_download("demo/poisoned-torch", "pytorch_model.bin", tmp_path / "out")
    assert not run.ok and "hubgate: blocked" in run.output and "pickle-dangerous-call" in run.output, run.output
    assert not (tmp_path / "out").exists()
    run = behind.curl("demo/poisoned-pickle/resolve/main/model.pkl", tmp_path / "curl")
    assert "status 403" in run.output and b"hubgate: " in (tmp_path / "curl").read_bytes()
    blocked = [line for line in gate.audit_lines() if line.get("decision") == "block"]
    assert blocked and all(line["from"] == "127.0.0.1" and line["verdict"] == "malicious" for line in blocked)


def test_a_poisoned_upload_is_refused_by_reqmod(behind, hub, samples, tmp_path):
    (tmp_path / "bad.pkl").write_bytes(samples["demo/poisoned-pickle"]["model.pkl"])
    (tmp_path / "good.pkl").write_bytes(CLEAN)
    before = len(hub.log())
    run = behind.curl("upload/bad.pkl", tmp_path / "out", "-T", str(tmp_path / "bad.pkl"))
    assert "status 403" in run.output and b"hubgate: " in (tmp_path / "out").read_bytes()
    assert len(hub.log()) == before
    behind.curl("upload/good.pkl", tmp_path / "out", "-T", str(tmp_path / "good.pkl"))
    assert any(record["path"] == "/upload/good.pkl" for record in hub.log())


class Icap:
    """One ICAP connection."""

    def __init__(self, gate):
        self.sock = socket.create_connection(("127.0.0.1", gate.icap_port), timeout=60)
        self.file = self.sock.makefile("rb")

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def head(self) -> tuple[int, dict[str, str]]:
        status = self.file.readline()
        if not status:
            return 0, {}
        fields = {}
        while (line := self.file.readline().strip()):
            name, _, value = line.decode().partition(": ")
            fields[name.lower()] = value
        return int(status.split()[1]), fields

    def body(self) -> bytes | None:
        """What is wrapped behind a 200; None when it breaks off."""
        out = b""
        while True:
            line = self.file.readline()
            if not line:
                return None
            size = int(line, 16)
            piece = self.file.read(size + 2)
            if len(piece) != size + 2:
                return None
            if size == 0:
                return out
            out += piece[:-2]

    def message(self, fields: dict[str, str]) -> tuple[bytes, bytes | None]:
        at = int(re.search(r"body=(\d+)", fields["encapsulated"])[1])
        return self.file.read(at), None if "null-body" in fields["encapsulated"] else self.body()


def respmod(body: bytes, *fields: str, path: str = "/demo/x/resolve/main/a.bin", status: str = "200 OK", end: bytes = b"0\r\n\r\n", more: str = "") -> bytes:
    request = f"GET http://hub.example{path} HTTP/1.1\r\nHost: hub.example\r\n\r\n".encode()
    response = f"HTTP/1.1 {status}\r\nContent-Type: application/octet-stream\r\n{more}\r\n".encode()
    lines = "".join(f"{field}\r\n" for field in fields)
    head = (f"RESPMOD icap://gate/respmod ICAP/1.0\r\nHost: gate\r\n{lines}"
            f"Encapsulated: req-hdr=0, res-hdr={len(request)}, res-body={len(request) + len(response)}\r\n\r\n").encode()
    chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
    return head + request + response + chunk + end


def test_options_names_the_rules(gate):
    icap = Icap(gate)
    icap.send(b"OPTIONS icap://gate/respmod ICAP/1.0\r\nHost: gate\r\n\r\nOPTIONS icap://gate/reqmod ICAP/1.0\r\nHost: gate\r\n\r\n")
    status, fields = icap.head()
    assert status == 200 and fields["methods"] == "RESPMOD" and re.fullmatch(r'"[0-9a-f]{8,30}"', fields["istag"])
    assert fields["preview"] == "4096" and "204" in fields["allow"]
    assert icap.head()[1]["methods"] == "REQMOD"


def test_what_fits_into_the_preview_gets_204_and_more_is_asked_for(gate):
    icap = Icap(gate)
    icap.send(respmod(b"hello", "Preview: 4096", end=b"0; ieof\r\n\r\n"))
    assert icap.head()[0] == 204
    icap.send(respmod(CLEAN[:100], "Preview: 100"))
    assert icap.head()[0] == 100
    rest = CLEAN[100:]
    icap.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(rest), rest))
    status, fields = icap.head()
    assert status == 200
    head, body = icap.message(fields)
    assert head.startswith(b"HTTP/1.1 200 OK\r\n") and b"X-Hubgate-Verdict: clean" in head and body == CLEAN
    icap.send(respmod(CLEAN, "Allow: 204"))
    assert icap.head()[0] == 204


def test_a_refusal_comes_as_an_answer_and_again_at_the_head(gate, samples):
    bad = samples["demo/poisoned-late"]["model.pkl"]
    icap = Icap(gate)
    icap.send(respmod(bad, more='ETag: "one"\r\n'))
    status, fields = icap.head()
    head, body = icap.message(fields)
    if head.startswith(b"HTTP/1.1 200 "):  # it took so long that the client was kept waiting with a head
        assert body is None
    else:
        assert status == 200 and head.startswith(b"HTTP/1.1 403 ") and body.startswith(b'{"error":"hubgate: ')
    again = Icap(gate)
    again.send(respmod(bad[:100], "Preview: 100", more='ETag: "one"\r\n'))
    status, fields = again.head()
    assert status == 200 and again.message(fields)[0].startswith(b"HTTP/1.1 403 ")


def test_a_refusal_names_the_file_that_storage_names(gate, samples):
    icap = Icap(gate)
    icap.send(respmod(samples["demo/poisoned-pickle"]["model.pkl"], "Allow: 204", path="/908e534612b0?X-Signature=secret",
                      more='Content-Disposition: inline; filename="named.pkl"\r\n'))
    status, fields = icap.head()
    head, body = icap.message(fields)
    assert head.startswith(b"HTTP/1.1 403 ") and b"named.pkl" in body and b"secret" not in head + body


def test_large_weights_pass_while_they_arrive(gate):
    import json
    size = 48 << 20
    header = json.dumps({"a": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    whole = len(header).to_bytes(8, "little") + header + bytes(size)
    icap = Icap(gate)
    icap.send(respmod(whole[:8 << 20], end=b"", more=f"Content-Length: {len(whole)}\r\n"))
    status, fields = icap.head()  # while five sixths are still to come
    assert status == 200
    rest = whole[8 << 20:]
    import threading
    sender = threading.Thread(target=icap.send, args=(b"%x\r\n%b\r\n0\r\n\r\n" % (len(rest), rest),))
    sender.start()
    head, body = icap.message(fields)
    sender.join()
    assert body == whole


def test_a_part_is_not_judged_alone(gate):
    icap = Icap(gate)
    icap.send(respmod(b"x" * 100, "Preview: 100", status="206 Partial Content", more="Content-Range: bytes 5-104/1000\r\n"))
    status, fields = icap.head()
    assert icap.message(fields)[0].startswith(b"HTTP/1.1 403 ")


@pytest.mark.parametrize("sent", [
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"RESPMOD icap://gate/ ICAP/1.0\r\nHost: gate\r\n\r\n", b"\x16\x03\x01\x02\x00\r\n\r\n",
    respmod(b"x").replace(b"res-hdr", b"xxx-hdr"), respmod(b"x").replace(b"ICAP/1.0", b"ICAP/9.9"), respmod(b"x").replace(b"Host: gate", b"Host: gate\r\n folded"),
    respmod(b"x", "Preview: -1"), respmod(b"x").replace(b"HTTP/1.1 200 OK", b"HTTP/1.1 2000 K"), respmod(b"x", "Preview: 10").replace(b"1\r\nx", b"zz\r\nx"),
])
def test_what_is_no_icap_gets_400_and_the_gate_stays(gate, sent):
    icap = Icap(gate)
    icap.send(sent)
    assert icap.head()[0] == 400
    assert icap.head()[0] == 0
    good = Icap(gate)
    good.send(respmod(b"hello", "Preview: 4096", end=b"0; ieof\r\n\r\n"))
    assert good.head()[0] == 204


def test_a_client_that_leaves_in_the_middle_leaves_nothing_behind(gate):
    icap = Icap(gate)
    icap.send(respmod(CLEAN[:100], end=b""))
    icap.sock.close()
    icap.file.close()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and "hubgate_scans 0" not in gate.admin("/metrics").text:
        time.sleep(0.2)
    assert "hubgate_scans 0" in gate.admin("/metrics").text
