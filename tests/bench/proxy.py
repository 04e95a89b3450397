"""proxy.py [--rounds N] [--gigabytes N]: the gate beside tuned nginx, TLS to TLS, in one run.

An nginx plays the hub. Each round pulls the same safetensors file through nginx and through a gate
with empty records, in turn; then 32 pulls at once, and small JSON over 32 connections (wrk).
Prints medians, ratios and whether the targets are met; exits 1 when one is missed.
"""
from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

from measure import HUBGATE, WORK, cpu_seconds, median, pss_bytes, table, verdict

from gate import free_port, request
from servers import wait_for_port

MODEL = "/bench/model/resolve/main/model.safetensors"
INFO = "/api/models/bench/model"
COMMIT = "c" * 40


def certificate() -> tuple[Path, Path]:
    cert, key = WORK / "cert.pem", WORK / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-keyout", key, "-out", cert, "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"],
                   check=True, capture_output=True)
    return cert, key


def model(path: Path, size: int, name: str, sparse: bool = False) -> str:
    """A safetensors file of one U8 tensor; returns its sha256."""
    header = json.dumps({name: {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    header += b" " * (-len(header) % 8)
    head = struct.pack("<Q", len(header)) + header
    digest = hashlib.sha256(head)
    block = hashlib.shake_128(name.encode()).digest(1 << 20) if not sparse else bytes(1 << 20)
    with path.open("wb") as file:
        file.write(head)
        for _ in range(size >> 20):
            digest.update(block)
            if not sparse:
                file.write(block)
        file.truncate(len(head) + size)
    return digest.hexdigest()


class Nginx:
    def __init__(self, name: str, server: str, workers: int = 2):
        self.port = free_port()
        folder = WORK / name
        folder.mkdir(parents=True, exist_ok=True)
        temp = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        config = folder / "nginx.conf"
        config.write_text(f"""
            daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes {workers}; user root;
            events {{ worker_connections 512; }}
            http {{
              access_log off; keepalive_requests 10000000; {temp}
              server {{
                listen 127.0.0.1:{self.port} ssl;
                ssl_certificate {WORK}/cert.pem; ssl_certificate_key {WORK}/key.pem;
                {server}
              }}
            }}""")
        self.process = subprocess.Popen([shutil.which("nginx") or "/usr/sbin/nginx", "-e", folder / "error.log", "-c", config])
        wait_for_port(self.port)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)


def upstream(files: dict[str, tuple[Path, str]]) -> Nginx:
    """The hub: files by URL path with what a hub says of them, and 1 KiB of JSON."""
    places = "".join(f"""
        location = {url} {{
          alias {path}; default_type application/octet-stream; etag off;
          add_header X-Repo-Commit {COMMIT}; add_header ETag '"{oid}"'; add_header X-Linked-ETag '"{oid}"';
          add_header X-Linked-Size {path.stat().st_size};
        }}""" for url, (path, oid) in files.items())
    info = WORK / "info.json"
    value = {"id": "bench/model", "sha": COMMIT, "siblings": [], "tags": [""]}
    value["tags"] = ["x" * (1024 - len(json.dumps(value)))]
    info.write_text(json.dumps(value))
    return Nginx("hub", f"sendfile on; location = {INFO} {{ alias {info}; default_type application/json; }} {places}")


def tuned_proxy(port: int) -> Nginx:
    return Nginx("tuned", f"""
        location / {{
          proxy_pass https://backend; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host 127.0.0.1;
          proxy_buffering on; proxy_buffers 16 64k; proxy_buffer_size 64k; proxy_busy_buffers_size 128k;
          proxy_max_temp_file_size 0; proxy_ssl_trusted_certificate {WORK}/cert.pem; proxy_ssl_verify on;
          proxy_ssl_name 127.0.0.1; proxy_ssl_session_reuse on;
        }}
        }} upstream backend {{ server 127.0.0.1:{port}; keepalive 64; """)


class BenchGate:
    def __init__(self, upstream_port: int, *options: str):
        self.port, self.admin = free_port(), free_port()
        self.data = WORK / "gate-data"
        shutil.rmtree(self.data, ignore_errors=True)
        self.log = (WORK / "gate.log").open("ab")
        self.process = subprocess.Popen(
            [HUBGATE, "serve", "--listen", f"127.0.0.1:{self.port}", "--upstream", f"https://127.0.0.1:{upstream_port}",
             "--upstream-ca", WORK / "cert.pem", "--tls-cert", WORK / "cert.pem", "--tls-key", WORK / "key.pem",
             "--data", self.data, "--admin", f"127.0.0.1:{self.admin}", *options], stdout=self.log, stderr=self.log)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                if request(self.admin, "GET", "/readyz").status == 200:
                    return
            except OSError:
                time.sleep(0.05)
        raise SystemExit(f"the gate did not start, see {WORK}/gate.log")

    def disk(self) -> int:
        """Bytes on disk below the data folder, records included."""
        total = 0
        for path in self.data.rglob("*"):
            try:
                total += path.stat().st_blocks * 512 if path.is_file() else 0
            except OSError:
                continue
        return total

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)


def pull(port: int, url: str, *options: str) -> tuple[float, float]:
    """(seconds, seconds to the first byte) of one curl."""
    done = subprocess.run(["curl", "-sS", "-f", "--cacert", WORK / "cert.pem", "-o", "/dev/null", "-w",
                           "%{time_total} %{time_starttransfer} %{size_download}", *options, f"https://127.0.0.1:{port}{url}"],
                          capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"curl failed: {done.stderr}{done.stdout}")
    total, first, _ = done.stdout.split()
    return float(total), float(first)


def bench_large(hub: Nginx, size: int, rounds: int) -> bool:
    results: dict[str, list[tuple[float, float, float]]] = {"direct": [], "nginx": [], "gate": []}
    disk = 0
    for _ in range(rounds):
        seconds, first = pull(hub.port, MODEL)
        results["direct"].append((seconds, first, 0.0))
        for name in ("nginx", "gate"):
            server = tuned_proxy(hub.port) if name == "nginx" else BenchGate(hub.port)
            pull(server.port, INFO)
            before = cpu_seconds(server.process.pid)
            seconds, first = pull(server.port, MODEL)
            time.sleep(0.2)
            results[name].append((seconds, first, cpu_seconds(server.process.pid) - before))
            if isinstance(server, BenchGate):
                disk = max(disk, server.disk())
            server.stop()
    rows, middle = [], {}
    for name, values in results.items():
        seconds, first, cpu = (median([value[at] for value in values]) for at in range(3))
        middle[name] = (first * 1000, cpu / (size / 1e9))
        rows.append([name, size / 1e9 / seconds, middle[name][1], first * 1000])
    table(f"{size / (1 << 30):g} GiB safetensors, first pull, median of {rounds}", ["", "GB/s", "CPU s/GB", "first byte ms"], rows)
    print(f"  on the gate's disk afterwards: {disk / 1e6:.2f} MB")
    good = verdict("CPU per GB, gate / tuned nginx", middle["gate"][1] / middle["nginx"][1], 2.0)
    good &= verdict("first byte, gate - nginx, ms", middle["gate"][0] - middle["nginx"][0], 20)
    return good & verdict("bytes written, MB", disk / 1e6, 8)


def bench_many(hub: Nginx, urls: list[str]) -> bool:
    """32 objects at once, slowed so that they overlap; the peak of memory and disk on the way."""
    gate = BenchGate(hub.port)
    peak, disk, stop = [0], [0], threading.Event()

    def watch() -> None:
        while not stop.is_set():
            peak[0] = max(peak[0], pss_bytes(gate.process.pid))
            disk[0] = max(disk[0], gate.disk())
            time.sleep(0.2)

    watcher = threading.Thread(target=watch)
    watcher.start()
    pulls = [threading.Thread(target=pull, args=(gate.port, url, "--limit-rate", "20M")) for url in urls]
    for one in pulls:
        one.start()
    for one in pulls:
        one.join()
    stop.set()
    watcher.join()
    gate.stop()
    print(f"\n{len(urls)} pulls at once")
    good = verdict("PSS of gate and workers at its peak, MB", peak[0] / 1e6, 256 * 1.048576)
    return good & verdict("on disk at its peak, MB", disk[0] / 1e6, len(urls) * 2)


def bench_json(hub: Nginx, rounds: int) -> bool:
    rates: dict[str, list[float]] = {"direct": [], "nginx": [], "gate": []}
    nginx, gate = tuned_proxy(hub.port), BenchGate(hub.port)
    for _ in range(rounds):
        for name, port in (("direct", hub.port), ("nginx", nginx.port), ("gate", gate.port)):
            done = subprocess.run(["wrk", "-t1", "-c32", "-d5s", f"https://127.0.0.1:{port}{INFO}"],
                                  capture_output=True, text=True, check=True)
            if "Non-2xx" in done.stdout:
                raise SystemExit(f"{name}: {done.stdout}")
            rates[name].append(float(done.stdout.split("Requests/sec:")[1].split()[0]))
    nginx.stop()
    gate.stop()
    middle = {name: median(values) for name, values in rates.items()}
    table(f"1 KiB JSON, 32 connections, median of {rounds}", ["", "requests/s"], [[name, f"{rate:.0f}"] for name, rate in middle.items()])
    return verdict("requests per second, gate / nginx", middle["gate"] / middle["nginx"], 0.7, at_most=False)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--gigabytes", type=float, default=2)
    parser.add_argument("--only", choices=["large", "many", "json"])
    arguments = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    certificate()
    size = int(arguments.gigabytes * (1 << 30)) >> 20 << 20
    files = {MODEL: (WORK / "model.safetensors", model(WORK / "model.safetensors", size, "w"))}
    for number in range(32):
        path = WORK / f"many{number}.safetensors"
        files[f"/bench/many{number}/resolve/main/model.safetensors"] = (path, model(path, 256 << 20, f"w{number}", sparse=True))
    hub = upstream(files)
    try:
        good = True
        if arguments.only in (None, "large"):
            good &= bench_large(hub, size, arguments.rounds)
        if arguments.only in (None, "many"):
            good &= bench_many(hub, [url for url in files if url != MODEL])
        if arguments.only in (None, "json"):
            good &= bench_json(hub, arguments.rounds)
    finally:
        hub.stop()
        for path, _ in files.values():
            path.unlink()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
