"""Mixed requests with upstream faults between them, for the soak: what each may be answered, and what not.

One seed gives one order of requests. Several threads send them; a fault that one of them switches on may
meet another one's request, so what holds is said of every answer: 200 and complete means the very bytes
of the hub, what is incomplete is a prefix of them, a poisoned file never arrives, nobody waits a minute.
"""
from __future__ import annotations

import http.client
import json
import queue
import random
import socket
import threading
import time
from pathlib import Path

from gate import Gate, request

STUCK = 60  # seconds without an answer
CONFIG = "limits: {stall: 2s, idle: 5s, connections: 500}\nproxy: {intercept: [files.hub.test]}\n"
LFS = ("demo/large", "model.safetensors")
MODEL = "/demo/large/resolve/main/model.safetensors"
FAULTS = [{"cut_after": 20_000}, {"cut_after": 0}, {"cut_after": 20_000, "reset": True}, {"stall_after": 5_000}, {"status": 500},
          {"status": 503}, {"flip": 100}, {"delay": 0.2}, {"headers": {"Content-Length": "7"}}, {"encoding": "gzip"}]
POISONED = [("demo/poisoned-pickle", "model.pkl"), ("demo/poisoned-torch", "pytorch_model.bin"), ("demo/poisoned-archive", "bundle.zip")]
LISTINGS = ["/api/models/demo/clean", "/api/models/demo/clean/tree/main?recursive=true", "/api/models/demo/many/tree/main/part", "/api/models/demo/large/revision/main"]


def metric(gate: Gate, name: str) -> int:
    return int(next(line for line in gate.admin("/metrics").text.splitlines() if line.startswith(f"hubgate_{name} ")).split()[-1])


def open_files(gate: Gate) -> int:
    """Descriptors of the gate without the connections to upstreams that it keeps for the next request."""
    return len(list(Path(f"/proc/{gate.process.pid}/fd").iterdir())) - metric(gate, "upstream_connections_idle")


class MixedLoad:
    def __init__(self, gate: Gate, hub, samples: dict, icap_port: int, proxy_port: int, seed: int = 8):
        self.gate, self.hub, self.samples, self.icap_port, self.proxy_port = gate, hub, samples, icap_port, proxy_port
        self.random = random.Random(seed)
        self.wrong: list[str] = []
        self.counts: dict[str, int] = {}
        self.lock = threading.Lock()
        self.clean = [("demo/clean", path) for path in samples["demo/clean"]] + [("demo/many", path) for path in samples["demo/many"]]

    def note(self, what: str) -> None:
        with self.lock:
            self.wrong.append(what)

    # What can be asked; each takes its own source of chance.

    def pull(self, chance: random.Random) -> None:
        repo, path = LFS if chance.random() < 0.03 else chance.choice(self.clean)
        self.compare(repo, path, self.gate.get(f"/{repo}/resolve/main/{path}", timeout=STUCK))

    def compare(self, repo: str, path: str, answer) -> None:
        data = self.samples[repo][path]
        if answer.status != 200:
            if answer.status < 400:
                self.note(f"{path}: {answer.status}")
        elif answer.complete and answer.body != data or not data.startswith(answer.body):
            # A file outside of LFS has no sha256 to compare with: what the hub says is what it is.
            self.note(f"{repo}/{path}: other bytes, complete: {answer.complete}")

    def part(self, chance: random.Random) -> None:
        data = self.samples[LFS[0]][LFS[1]]
        first = chance.randrange(len(data))
        last = min(len(data) - 1, first + chance.choice([0, 10, 70_000]))
        answer = self.gate.get(MODEL, headers={"Range": f"bytes={first}-{last}"}, timeout=STUCK)
        wanted = data[first:last + 1]
        if answer.status == 206 and (answer.complete and answer.body != wanted or not wanted.startswith(answer.body)):
            self.note(f"range {first}-{last}: other bytes")
        elif answer.status not in (206, 429) and answer.status < 400:
            self.note(f"range {first}-{last}: {answer.status}")

    def head(self, chance: random.Random) -> None:
        repo, path = chance.choice([*self.clean, LFS])
        answer = self.gate.head(f"/{repo}/resolve/main/{path}", timeout=STUCK)
        if answer.status == 200 and answer.body:
            self.note(f"HEAD {path}: a body")

    def listing(self, chance: random.Random) -> None:
        answer = self.gate.get(chance.choice(LISTINGS), timeout=STUCK)
        if answer.status == 200 and answer.complete:
            json.loads(answer.body)

    def poisoned(self, chance: random.Random) -> None:
        repo, path = chance.choice(POISONED)
        answer = self.gate.get(f"/{repo}/resolve/main/{path}", timeout=STUCK)
        if answer.body == self.samples[repo][path] or answer.status == 200 and answer.complete:
            self.note(f"{repo}/{path} passed")

    def refused(self, chance: random.Random) -> None:
        method, path = chance.choice([("DELETE", "/api/models/demo/clean"), ("POST", "/api/unknown"), ("GET", "/demo/clean/resolve/main/%2e%2e/x"), ("PUT", "/demo/x")])
        answer = self.gate.request(method, path, body=b"{}", timeout=STUCK)
        if answer.status < 400:
            self.note(f"{method} {path}: {answer.status}")

    def raw(self, port: int, data: bytes, wait: bool) -> bytes:
        """Sends, perhaps waits for the first bytes of the answer, and leaves."""
        with socket.create_connection(("127.0.0.1", port), timeout=STUCK) as sock:
            sock.sendall(data)
            return sock.recv(65536) if wait else b""

    def cut_upload(self, chance: random.Random) -> None:
        body = json.dumps({"operation": "upload", "transfers": ["basic"], "objects": [{"oid": "%064x" % chance.getrandbits(256), "size": 300_000}]}).encode()
        answer = request(self.gate.port, "POST", "/demo/clean.git/info/lfs/objects/batch", {"Content-Type": "application/vnd.git-lfs+json"}, body, STUCK)
        if answer.status != 200 or not answer.complete:
            return
        actions = json.loads(answer.body)["objects"][0].get("actions", {})
        if "upload" not in actions:
            return
        path = actions["upload"]["href"].split("/", 3)[3]
        head = f"PUT /{path} HTTP/1.1\r\nHost: 127.0.0.1:{self.gate.port}\r\nContent-Length: 300000\r\n\r\n".encode()
        self.raw(self.gate.port, head + bytes(chance.randrange(1, 200_000)), False)

    def left(self, chance: random.Random) -> None:
        """A client that goes away after the first bytes, or in the middle of its head."""
        head = f"GET {MODEL} HTTP/1.1\r\nHost: 127.0.0.1:{self.gate.port}\r\n\r\n".encode()
        whole = chance.random() < 0.7
        self.raw(self.gate.port, head if whole else head[:30], whole)

    def connect(self, chance: random.Random) -> None:
        target, refused = chance.choice([("localhost:22", True), ("localhost:443", True), ("169.254.169.254:443", True), ("cut", False)])
        if not refused:
            self.raw(self.proxy_port, b"CONNECT localhost:443 HTTP/1.1\r\nHo", False)
            return
        answer = self.raw(self.proxy_port, f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode(), True)
        if not answer.startswith(b"HTTP/1.1 ") or answer[9:12] < b"400":
            self.note(f"CONNECT {target}: {answer[:40]!r}")

    def icap(self, chance: random.Random) -> None:
        body = b"weights %d" % chance.randrange(40)
        ask = b"GET http://hub.example/x.txt HTTP/1.1\r\nHost: hub.example\r\n\r\n"
        answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"
        head = f"RESPMOD icap://gate/respmod ICAP/1.0\r\nHost: gate\r\nAllow: 204\r\nEncapsulated: req-hdr=0, res-hdr={len(ask)}, res-body={len(ask) + len(answer)}\r\n\r\n"
        chunk = b"%x\r\n%b\r\n" % (len(body), body)
        whole = chance.random() < 0.8
        said = self.raw(self.icap_port, head.encode() + ask + answer + chunk + (b"0\r\n\r\n" if whole else b""), whole)
        if whole and not said.startswith(b"ICAP/1.0 20"):
            self.note(f"ICAP: {said[:60]!r}")

    KINDS = {"pull": 30, "part": 14, "head": 14, "listing": 18, "poisoned": 6, "refused": 6, "cut_upload": 3, "left": 3, "connect": 3, "icap": 3}

    def one(self, kind: str, seed: int) -> None:
        try:
            getattr(self, kind)(random.Random(seed))
        except TimeoutError:
            self.note(f"{kind}: stuck")
        except (ConnectionError, http.client.HTTPException):
            pass  # a connection that ends is an answer
        except Exception as error:  # noqa: BLE001 - a thread must not end without a word
            self.note(f"{kind}: {error!r}")

    def run(self, number: int, threads: int = 8, faults: float = 0.04) -> None:
        """Sends so many requests; a share of them is preceded by a fault."""
        work: queue.SimpleQueue = queue.SimpleQueue()
        kinds, weights = list(self.KINDS), list(self.KINDS.values())
        for _ in range(number):
            kind = self.random.choices(kinds, weights)[0]
            self.counts[kind] = self.counts.get(kind, 0) + 1
            fault = self.random.choice(FAULTS) if self.random.random() < faults else None
            work.put((kind, self.random.getrandbits(60), fault))

        def worker() -> None:
            while True:
                try:
                    kind, seed, fault = work.get_nowait()
                except queue.Empty:
                    return
                if fault:
                    # Only bytes that have a sha256 may be other ones: nobody could tell, of the others.
                    role = "cdn" if "flip" in fault or "encoding" in fault else random.Random(seed).choice(["hub", "cdn"])
                    self.hub.fault(role=role, times=1, **fault)
                self.one(kind, seed)

        running = [threading.Thread(target=worker) for _ in range(threads)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()

    def settle(self, seconds: float = 90) -> dict[str, int]:
        """Waits until nobody is connected and nothing is scanned; says what did not end."""
        self.hub.reset()
        deadline = time.monotonic() + seconds
        while True:
            left = {name: metric(self.gate, name) for name in ("connections", "scans", "waiting", "spool_bytes")}
            if not any(left.values()) or time.monotonic() > deadline:
                return {name: number for name, number in left.items() if number}
            time.sleep(0.3)
