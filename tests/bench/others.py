"""Other scanners, each in an environment of its own, and what they said of a file.

A peer's pins are peers/NAME.txt, with hashes. It runs through its own entry point over many files in
one process (peers/driver.py), at low priority; where it dies or hangs, that is its answer for the file
it was at, and another process goes on with the next. Answers are kept below tests/.work, by the pins,
the driver, and the file's name and bytes: a second run scans only what is new, and an aborted one is
taken up where it stopped.
"""
from __future__ import annotations

import hashlib
import json
import os
import select
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from measure import WORK

HERE = Path(__file__).resolve().parent / "peers"
HOME = WORK.parent / "peers"
# No peer asks anybody on the network: a proxy that nobody is.
NOWHERE = "http://127.0.0.1:9"
QUIET = {"DO_NOT_TRACK": "1", "NO_ANALYTICS": "1", "PROMPTFOO_DISABLE_TELEMETRY": "1", "HF_HUB_OFFLINE": "1",
         "http_proxy": NOWHERE, "https_proxy": NOWHERE, "HTTP_PROXY": NOWHERE, "HTTPS_PROXY": NOWHERE}
BATCH = 500       # files a process: some peers never give memory back
SILENCE = 150     # seconds without an answer: the driver's own limit is 60


@dataclass
class Answer:
    answer: str  # flagged, error or quiet
    cpu: float   # seconds
    peak: float  # MB


def environment(folder: Path, name: str, pins: Path) -> Path:
    """Python of the environment `folder`/`name` that has `pins`, made again when they have changed."""
    venv, wanted = folder / name, pins.read_text()
    stamp = venv / "pins.txt"
    if not stamp.exists() or stamp.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        subprocess.run([venv / "bin/pip", "install", "-q", "--no-deps", "--require-hashes", "-r", pins], check=True)
        stamp.write_text(wanted)
    return venv / "bin/python"


def python_of(peer: str) -> Path:
    return environment(HOME, peer, HERE / f"{peer}.txt")


def quiet_environment(home: Path) -> dict:
    home.mkdir(parents=True, exist_ok=True)
    return {"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(home), **QUIET}


def key_of(path: Path) -> str:
    """Of the name and the bytes; of a folder, of all its names and bytes."""
    digest = hashlib.sha256()
    for one in [path] if path.is_file() else sorted(path.rglob("*")):
        digest.update(f"{path.name}/{one.relative_to(path)}\0".encode())
        if one.is_file() and not one.is_symlink():
            digest.update(hashlib.sha256(one.read_bytes()).digest())
    return digest.hexdigest()


class Kept:
    """Answers of one peer on disk, one JSON line each."""

    def __init__(self, peer: str):
        version = hashlib.sha256((HERE / f"{peer}.txt").read_bytes() + (HERE / "driver.py").read_bytes()).hexdigest()[:16]
        self.path = HOME / "answers" / f"{peer}-{version}.jsonl"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.found: dict[str, dict] = {}
        if self.path.exists():
            for line in self.path.read_text().splitlines():
                try:
                    item = json.loads(line)
                except ValueError:
                    continue  # the line at which a run was aborted
                self.found[item["key"]] = item

    def add(self, key: str, item: dict) -> None:
        self.found[key] = item = {**item, "key": key}
        with self.path.open("a") as file:
            file.write(json.dumps(item) + "\n")


def lines_of(process: subprocess.Popen):
    """Lines of its output; ends where it ends or stays silent for too long."""
    pending = b""
    while select.select([process.stdout], [], [], SILENCE)[0]:
        data = os.read(process.stdout.fileno(), 1 << 16)
        if not data:
            return
        *whole, pending = (pending + data).split(b"\n")
        yield from whole


def run_driver(peer: str, paths: list[str]):
    """Yields the driver's answers, as many as it gives."""
    process = subprocess.Popen(["nice", "-n", "15", python_of(peer), HERE / "driver.py", peer], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, env=quiet_environment(WORK / "peer-home"), process_group=0)
    try:
        process.stdin.write("\n".join(paths).encode())
        process.stdin.close()
        for line in lines_of(process):
            yield json.loads(line)
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
        process.stdout.close()


def ask(peer: str, paths: list[str]) -> tuple[dict[str, Answer], float]:
    """What `peer` says of each path, and the CPU seconds of its start."""
    kept, keys = Kept(peer), {path: key_of(Path(path)) for path in paths}
    left = list({keys[path]: path for path in paths if keys[path] not in kept.found}.values())
    while left:
        batch, at, started = left[:BATCH], 0, False
        for item in run_driver(peer, batch):
            if "start" in item:
                started = True
                kept.add("start", item)
                continue
            kept.add(keys[item.pop("path")], item)
            at += 1
        if not started:
            sys.exit(f"{peer} does not start: remove {HOME / peer} to have it installed again")
        if at < len(batch):
            kept.add(keys[batch[at]], {"flagged": False, "error": "died", "cpu": 0, "peak": 0})
            at += 1
        left = left[at:]
    answers = {}
    for path in paths:
        item = kept.found[keys[path]]
        answers[path] = Answer("flagged" if item["flagged"] else "error" if item["error"] else "quiet", item["cpu"], item["peak"])
    return answers, kept.found.get("start", {}).get("start", 0.0)
