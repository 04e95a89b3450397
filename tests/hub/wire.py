"""HTTP/1.1 as the hub's two servers speak it: replies, ranges, request bodies, faults."""
from __future__ import annotations

import base64
import gzip
import json
import re
import socket
import struct
import subprocess
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Iterator, Optional, Union

CHUNK = 256 * 1024


@dataclass
class FileBody:
    path: Path
    start: int
    length: int

    def pieces(self) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            file.seek(self.start)
            left = self.length
            while left and (piece := file.read(min(CHUNK, left))):
                left -= len(piece)
                yield piece


@dataclass
class ProcessBody:
    """A process's output: bytes of unknown length, sent in chunks."""
    process: subprocess.Popen

    def pieces(self) -> Iterator[bytes]:
        with self.process:
            while piece := self.process.stdout.read1(CHUNK):
                yield piece


Body = Union[bytes, FileBody, ProcessBody]


@dataclass
class Reply:
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: Body = b""

    @property
    def length(self) -> Optional[int]:
        if isinstance(self.body, bytes):
            return len(self.body)
        return self.body.length if isinstance(self.body, FileBody) else None


def json_reply(value, status: int = 200, **headers: str) -> Reply:
    names = {name.replace("_", "-"): text for name, text in headers.items()}
    return Reply(status, {"Content-Type": "application/json; charset=utf-8", **names}, json.dumps(value).encode())


def ranged(wanted: Optional[str], headers: dict[str, str], path: Path, size: int) -> Reply:
    """The file, or the one range of it that was asked for."""
    headers = {**headers, "Accept-Ranges": "bytes"}
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", wanted or "")
    if not match or match.group(0) == "bytes=-":
        return Reply(200, headers, FileBody(path, 0, size))
    first, last = match.groups()
    start = int(first) if first else max(0, size - int(last))
    stop = min(size - 1, int(last)) if first and last else size - 1
    if start >= size or stop < start:
        return Reply(416, {**headers, "Content-Range": f"bytes */{size}"})
    headers["Content-Range"] = f"bytes {start}-{stop}/{size}"
    return Reply(206, headers, FileBody(path, start, stop - start + 1))


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request, client_address) -> None:
        """A peer that goes away is ordinary here; it shows in the log as incomplete."""


class Handler(BaseHTTPRequestHandler):
    """Subclasses have `role`, `hub` and answer(method) -> Reply."""
    protocol_version = "HTTP/1.1"
    timeout = 600
    disable_nagle_algorithm = True
    role = ""
    hub = None

    def answer(self, method: str) -> Reply:
        raise NotImplementedError

    def run_method(self) -> None:
        path, _, self.query = self.path.partition("?")
        self.raw_path = path
        if path.startswith("/_hub/"):
            self.body_left = int(self.headers.get("Content-Length") or 0)
            self.chunked_in = False
            self.fault, self.record = {}, {"sent": 0}
            self.send(self.control(path))
            return
        self.record = self.hub.log.begin(self.role, self.command, self.path,
                                         {name.lower(): value for name, value in self.headers.items()})
        self.chunked_in = "chunked" in (self.headers.get("Transfer-Encoding") or "").lower()
        self.body_left = int(self.headers.get("Content-Length") or 0)
        self.fault = self.hub.faults.take(self.role, self.command, path)
        if "delay" in self.fault:
            time.sleep(self.fault["delay"])
        reply = self.answer(self.command)
        for _ in self.body_pieces():
            pass
        self.send(reply)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = run_method

    def control(self, path: str) -> Reply:
        if path == "/_hub/faults":
            if self.command == "POST":
                self.hub.faults.add(json.loads(self.read_body()))
            elif self.command == "DELETE":
                self.hub.faults.clear()
            return json_reply(self.hub.faults.rules)
        if path == "/_hub/log":
            if self.command == "DELETE":
                self.hub.log.clear()
            return json_reply(self.hub.log.snapshot())
        return Reply(404)

    # requests

    def body_pieces(self) -> Iterator[bytes]:
        while self.chunked_in:
            size = int(self.rfile.readline().split(b";")[0], 16)
            if size == 0:
                while self.rfile.readline().strip():
                    pass
                self.chunked_in = False
                return
            piece = self.rfile.read(size)
            self.rfile.readline()
            self.record["received"] += len(piece)
            yield piece
        while self.body_left:
            piece = self.rfile.read(min(CHUNK, self.body_left))
            if not piece:
                raise ConnectionError("the body ended early")
            self.body_left -= len(piece)
            if "received" in self.record:
                self.record["received"] += len(piece)
            yield piece

    def read_body(self) -> bytes:
        data = b"".join(self.body_pieces())
        return gzip.decompress(data) if self.headers.get("Content-Encoding") == "gzip" else data

    # answers

    def send(self, reply: Reply) -> None:
        fault = self.fault
        if "status" in fault:
            reply = Reply(fault["status"], {"Content-Type": "text/plain"}, fault.get("body", "fault").encode())
        if "replace_b64" in fault:
            reply.body = base64.b64decode(fault["replace_b64"])
        if fault.get("encoding") == "gzip":
            reply.body = gzip.compress(reply.body if isinstance(reply.body, bytes) else b"".join(reply.body.pieces()))
            reply.headers["Content-Encoding"] = "gzip"
        reply.headers.update(fault.get("headers", {}))
        dropped = {name.lower() for name in fault.get("drop_headers", [])}
        framing = fault.get("framing", "length" if reply.length is not None else "chunked")
        headers = {name: value for name, value in reply.headers.items() if name.lower() not in dropped}
        if framing == "chunked":
            headers["Transfer-Encoding"] = "chunked"
        elif framing == "close":
            headers["Connection"] = "close"
        elif reply.status not in (204, 304):
            headers["Content-Length"] = str(fault.get("length", reply.length))
        self.record["status"] = reply.status
        self.send_response(reply.status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD" or reply.status in (204, 304):
            self.record["complete"] = True
            return
        self.send_body(reply, framing)
        if framing == "close" or fault.get("length", reply.length) != reply.length:
            self.close_connection = True
        self.record["complete"] = True

    def send_body(self, reply: Reply, framing: str) -> None:
        fault = self.fault
        stops = [fault[key] for key in ("cut_after", "stall_after") if key in fault]
        limit = min(stops) if stops else None
        base = reply.body.start if isinstance(reply.body, FileBody) else 0
        position = 0
        started = time.monotonic()
        for piece in [reply.body] if isinstance(reply.body, bytes) else reply.body.pieces():
            flip = fault.get("flip", -1) - base
            if position <= flip < position + len(piece):
                at = flip - position
                piece = piece[:at] + bytes([piece[at] ^ 0xFF]) + piece[at + 1:]
            if limit is not None:
                piece = piece[:limit - position]
            step = max(1, min(CHUNK, fault["rate"] // 10)) if "rate" in fault else len(piece) or 1
            for start in range(0, len(piece), step):
                part = piece[start:start + step]
                self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part) if framing == "chunked" else part)
                position += len(part)
                self.record["sent"] = position
                if "rate" in fault:
                    time.sleep(max(0.0, position / fault["rate"] - (time.monotonic() - started)))
            if limit is not None and position >= limit:
                break
        if "stall_after" in fault:
            self.wait_for_peer()
        if stops:
            if fault.get("reset"):
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
            raise ConnectionAbortedError("cut by a fault")
        if framing == "chunked":
            self.wfile.write(b"0\r\n\r\n")

    def wait_for_peer(self) -> None:
        """Keeps the connection open and silent until the peer gives up."""
        self.connection.settimeout(600)
        try:
            self.connection.recv(1)
        except OSError:
            pass

    def log_message(self, format: str, *arguments) -> None:  # noqa: A002
        pass


def serve_in_thread(server: Server) -> None:
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
