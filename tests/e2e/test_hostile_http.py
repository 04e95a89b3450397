"""Hostile HTTP: every case of the table, beside nginx and HAProxy where both refuse."""
import shutil
import socket
import socketserver
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

import pytest

from gate import free_port
from hostile_http import SMUGGLED, table

CASES = table()


def answers(port: int, sent: bytes) -> tuple[int, ...]:
    """The statuses that come back until the other side closes or falls silent with all requests answered."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        try:
            sock.sendall(sent)
            sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # refused before all of it was sent
        received = b""
        try:
            while piece := sock.recv(65536):
                received += piece
        except ConnectionResetError:
            pass
    return tuple(statuses(received))


def statuses(received: bytes):
    while received:
        head, end, rest = received.partition(b"\r\n\r\n")
        if not end or not head.startswith(b"HTTP/1."):
            yield 0  # HTTP/0.9, or no HTTP at all
            return
        status = int(head.split(b" ", 2)[1])
        if status != 100:
            yield status
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
        if b"chunked" in fields.get(b"transfer-encoding", b""):
            while rest:
                size, _, rest = rest.partition(b"\r\n")
                rest = rest[int(size, 16) + 2:]
                if int(size, 16) == 0:
                    break
            received = rest
        else:
            received = rest[int(fields.get(b"content-length", b"0")):]


def test_the_table_is_large_and_has_no_case_twice():
    assert len(CASES) >= 250
    assert len({name for name, _, _ in CASES}) == len(CASES) == len({sent for _, sent, _ in CASES})


@pytest.mark.parametrize("sent,expected", [pytest.param(sent, expected, id=name) for name, sent, expected in CASES])
def test_the_gate_answers_as_the_table_says(gate, hub, sent, expected):
    assert answers(gate.port, sent) == expected
    assert not any(SMUGGLED in record["path"] for record in hub.log())


class Recorder(socketserver.ThreadingTCPServer):
    """An upstream that answers whatever comes with 200."""
    allow_reuse_address = daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # front ends cut connections that a case has spoilt

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_DELETE = do_PUT = do_TRACE = do_GET

        def log_message(self, *_):
            pass


@contextmanager
def front_end(command: list, port: int):
    process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with socket.socket() as sock:
                if sock.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(20)


def test_what_nginx_and_haproxy_refuse_is_refused_here(tmp_path):
    """They are more lenient in places; never both of them stricter."""
    with Recorder(("127.0.0.1", 0), Recorder.Handler) as upstream:
        threading.Thread(target=upstream.serve_forever, daemon=True).start()
        behind = upstream.server_address[1]
        ports = free_port(), free_port()
        (tmp_path / "nginx.conf").write_text(
            f"daemon off; master_process off; pid {tmp_path}/pid; error_log /dev/null; events {{}}\n"
            f"http {{ access_log off; client_body_temp_path {tmp_path}/body; proxy_temp_path {tmp_path}/proxy; fastcgi_temp_path {tmp_path}/f;"
            f" uwsgi_temp_path {tmp_path}/u; scgi_temp_path {tmp_path}/s; large_client_header_buffers 4 64k; client_body_timeout 2; client_header_timeout 2;"
            f" server {{ listen 127.0.0.1:{ports[0]}; location / {{ proxy_pass http://127.0.0.1:{behind}; proxy_http_version 1.1; proxy_ignore_client_abort on; }} }} }}\n")
        (tmp_path / "haproxy.cfg").write_text(
            "global\n  tune.bufsize 65536\ndefaults\n  mode http\n  timeout client 2s\n  timeout server 10s\n  timeout connect 5s\n  timeout http-request 2s\n"
            f"frontend f\n  bind 127.0.0.1:{ports[1]}\n  default_backend b\nbackend b\n  server s 127.0.0.1:{behind}\n")
        with (front_end([shutil.which("nginx") or "/usr/sbin/nginx", "-p", tmp_path, "-c", tmp_path / "nginx.conf"], ports[0]),
              front_end([shutil.which("haproxy") or "/usr/sbin/haproxy", "-db", "-q", "-f", tmp_path / "haproxy.cfg"], ports[1]), ThreadPoolExecutor(16) as pool):
            seen = [list(pool.map(lambda case, port=port: answers(port, case[1]), CASES)) for port in ports]
    refused = [not any(status < 300 for status in one) and not any(status < 300 for status in other) for one, other in zip(*seen)]
    assert sum(refused) > 100 and sum(map(all, zip(*[[one[:1] == (200,) for one in each] for each in seen]))) > 30, "the front ends did not work"
    passed = [(name, one, other) for (name, _, expected), one, other, both in zip(CASES, *seen, refused) if both and any(status < 300 for status in expected)]
    assert passed == []
