"""upload.py [--rounds N] [--gigabytes N] [--only large|many|commit]: uploads through the gate beside tuned nginx.

The hub stand-in is behind both, over TLS. Each round sends the same safetensors file and the same pickle
(which is only released as a whole) in one LFS PUT through nginx and through a gate with empty records, in
turn; then 32 uploads at once, and a commit of 1,000 files with and without the gate. Prints medians, ratios
and whether the targets are met; exits 1 when one is missed.
"""
from __future__ import annotations

import argparse
import base64
import hashlib
import http.client
import json
import shutil
import ssl
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

from measure import WORK, cpu_seconds, median, pss_bytes, table, verdict
from proxy import BenchGate, Nginx, certificate, model

from hub.client import RunningHub
from hub.samples import honest_items, pickle_of

JSON, LFS = "application/json", "application/vnd.git-lfs+json"
INSECURE = ssl._create_unverified_context()


class Hub(RunningHub):
    """The stand-in over TLS, with nothing in it."""

    def __init__(self, root: Path):
        super().__init__(root, "--no-samples", "--no-xet", "--tls-cert", str(WORK / "cert.pem"), "--tls-key", str(WORK / "key.pem"))
        self.port, self.cdn_port = (int(url.rsplit(":", 1)[1]) for url in (self.url, self.cdn_url))

    def control(self, path: str, method: str = "GET", value=None):
        return json.loads(ask(self.port, method, f"/_hub/{path}", json.dumps(value).encode() if value is not None else None, JSON)[1])


def ask(port: int, method: str, path: str, body: bytes | None, kind: str) -> tuple[int, bytes]:
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=600, context=INSECURE)
    try:
        connection.request(method, path, body, {"Authorization": "Bearer hf_alice", "Content-Type": kind})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def create(port: int) -> str:
    name = uuid.uuid4().hex[:10]
    status, body = ask(port, "POST", "/api/repos/create", json.dumps({"name": name, "organization": "alice", "type": "model"}).encode(), JSON)
    if status != 200:
        raise SystemExit(f"no repository: {status} {body!r}")
    return f"alice/{name}"


def link(port: int, repo: str, oid: str, size: int) -> str:
    """Where the batch answer sends the bytes: path and query."""
    asked = json.dumps({"operation": "upload", "transfers": ["basic"], "objects": [{"oid": oid, "size": size}]}).encode()
    status, body = ask(port, "POST", f"/{repo}.git/info/lfs/objects/batch", asked, LFS)
    item = json.loads(body)["objects"][0] if status == 200 else {}
    if "actions" not in item:
        raise SystemExit(f"no link: {status} {body!r}")
    return "/" + item["actions"]["upload"]["href"].split("/", 3)[3]


def put(port: int, path: str, file: Path, *options: str) -> float:
    done = subprocess.run(["curl", "-sS", "-f", "--http1.1", "--cacert", WORK / "cert.pem", "-o", "/dev/null", "-w", "%{time_total}", "-T", file,
                           "-H", "Expect:", *options, f"https://127.0.0.1:{port}{path}"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"curl failed: {done.stderr}{done.stdout}")
    return float(done.stdout)


def tuned_proxy(port: int) -> Nginx:
    return Nginx("tuned", f"""
        client_max_body_size 0;
        location / {{
          proxy_pass https://backend; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host 127.0.0.1;
          proxy_request_buffering off; client_body_buffer_size 1m; proxy_ssl_trusted_certificate {WORK}/cert.pem; proxy_ssl_verify on;
          proxy_ssl_name 127.0.0.1; proxy_ssl_session_reuse on;
        }}
        }} upstream backend {{ server 127.0.0.1:{port}; keepalive 64; """)


def digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def forget(root: Path, oid: str) -> None:
    (root / "lfs" / oid[:2] / oid[2:4] / oid).unlink(missing_ok=True)


def bench_large(hub: Hub, root: Path, name: str, file: Path, rounds: int, limit: float) -> bool:
    oid, size = digest_of(file), file.stat().st_size
    results: dict[str, list[tuple[float, float, float]]] = {"direct": [], "nginx": [], "gate": []}
    for _ in range(rounds):
        for way in results:
            forget(root, oid)
            server = tuned_proxy(hub.cdn_port) if way == "nginx" else BenchGate(hub.port) if way == "gate" else None
            asked = server.port if way == "gate" else hub.port
            path = link(asked, create(asked), oid, size)
            before = cpu_seconds(server.process.pid) if server else 0
            hub.reset()
            started = time.time()
            seconds = put(server.port if server else hub.cdn_port, path, file)
            first = next(entry["time"] for entry in hub.log() if entry["method"] == "PUT") - started
            time.sleep(0.2)
            results[way].append((seconds, first, cpu_seconds(server.process.pid) - before if server else 0.0))
            if server:
                server.stop()
    rows, middle = [], {}
    for way, values in results.items():
        seconds, first, cpu = (median([value[at] for value in values]) for at in range(3))
        middle[way] = (first * 1000, cpu / (size / 1e9))
        rows.append([way, size / 1e9 / seconds, middle[way][1], first * 1000])
    forget(root, oid)
    table(f"PUT of {size / (1 << 30):.3g} GiB, {name}, median of {rounds}", ["", "GB/s", "CPU s/GB", "at the hub after ms"], rows)
    good = verdict("CPU per GB, gate / tuned nginx", middle["gate"][1] / middle["nginx"][1], limit)
    if name == "safetensors":
        good &= verdict("first byte upstream, gate - direct, ms", middle["gate"][0] - middle["direct"][0], 50)
    return good


def bench_many(hub: Hub, root: Path, count: int, size: int) -> bool:
    """Uploads at once, slowed so that they overlap; the peak of memory on the way."""
    gate = BenchGate(hub.port)
    repo, sent = create(gate.port), []
    for number in range(count):
        file = WORK / f"many{number}.safetensors"
        oid = model(file, size, uuid.uuid4().hex, sparse=True)
        sent.append((link(gate.port, repo, oid, file.stat().st_size), file, oid))
    peak, stop = [0], threading.Event()

    def watch() -> None:
        while not stop.is_set():
            peak[0] = max(peak[0], pss_bytes(gate.process.pid))
            time.sleep(0.2)

    watcher = threading.Thread(target=watch)
    watcher.start()
    uploads = [threading.Thread(target=put, args=(gate.port, path, file, "--limit-rate", "8M")) for path, file, _ in sent]
    for one in uploads:
        one.start()
    for one in uploads:
        one.join()
    stop.set()
    watcher.join()
    gate.stop()
    for _, file, oid in sent:
        file.unlink()
        forget(root, oid)
    print(f"\n{count} uploads at once")
    return verdict("PSS of gate and workers at its peak, MB", peak[0] / 1e6, 512 * 1.048576)


def bench_commit(hub: Hub, rounds: int, count: int) -> bool:
    gate = BenchGate(hub.port)
    times: dict[str, list[float]] = {"direct": [], "gate": []}
    for turn in range(rounds):
        for way, port in (("direct", hub.port), ("gate", gate.port)):
            repo = create(hub.port)
            lines = [{"key": "header", "value": {"summary": "x"}}]
            for number in range(count):
                text = json.dumps({"number": number, "turn": turn, "way": way, "text": "x" * 500}).encode()
                lines.append({"key": "file", "value": {"path": f"data/{number}.json", "encoding": "base64", "content": base64.b64encode(text).decode()}})
            body = "\n".join(map(json.dumps, lines)).encode()
            started = time.monotonic()
            status, answer = ask(port, "POST", f"/api/models/{repo}/commit/main", body, "application/x-ndjson")
            times[way].append(time.monotonic() - started)
            if status != 200:
                raise SystemExit(f"no commit: {status} {answer!r}")
    gate.stop()
    middle = {way: median(values) for way, values in times.items()}
    table(f"a commit of {count} files, median of {rounds}", ["", "s"], [[way, value] for way, value in middle.items()])
    return verdict("added by the gate, s", middle["gate"] - middle["direct"], 1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--gigabytes", type=float, default=2)
    parser.add_argument("--files", type=int, default=1000, help="of the commit")
    parser.add_argument("--only", choices=["large", "many", "commit"])
    arguments = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    certificate()
    root = WORK / "upload-hub"
    shutil.rmtree(root, ignore_errors=True)
    hub = Hub(root)
    weights, pickle = WORK / "upload.safetensors", WORK / "upload.pkl"
    try:
        good = True
        if arguments.only in (None, "large"):
            size = int(arguments.gigabytes * (1 << 30)) >> 20 << 20
            model(weights, size, "w")
            good &= bench_large(hub, root, "safetensors", weights, arguments.rounds, 2.0)
            block = b"\x8e" + (1 << 20).to_bytes(8, "little") + bytes(1 << 20) + b"0"  # BINBYTES8, POP
            with pickle.open("wb") as file:
                file.write(b"\x80\x04")
                for _ in range(size >> 20):
                    file.write(block)
                file.write(pickle_of(honest_items(10))[2:])
            good &= bench_large(hub, root, "a pickle of byte strings", pickle, arguments.rounds, 2.4)
        if arguments.only in (None, "many"):
            good &= bench_many(hub, root, 32, 64 << 20)
        if arguments.only in (None, "commit"):
            good &= bench_commit(hub, arguments.rounds, arguments.files)
    finally:
        hub.stop()
        for path in (weights, pickle):
            path.unlink(missing_ok=True)
        shutil.rmtree(root, ignore_errors=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
