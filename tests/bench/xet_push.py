"""xet_push.py [--rounds N] [--megabytes N]: pushes of a large file over Xet, directly and through the gate, to one local CAS.

huggingface_hub with hf_xet uploads a safetensors file of random bytes, then the same file with one percent of it changed. The
hub offers no grants, so that both ways end in the same requests to the CAS. Prints medians of the time of the bytes' upload
(without the commit), what the second one sent, and ratios; exits 1 when a target is missed.
"""
from __future__ import annotations

import argparse
import random
import shutil
import sys
from pathlib import Path

from measure import WORK, cpu_seconds, median, table, verdict

from clients import CAS, Clients
from gate import Gate
from hub.client import RunningHub

REPO, NAME = "alice/large", "model.safetensors"
PIECE = 1 << 20


def make_file(path: Path, megabytes: int, seed: int) -> None:
    size = megabytes * PIECE
    header = b'{"w":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]}}' % (size, size)
    header += b" " * (-len(header) % 8)
    chooser = random.Random(seed)
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        for _ in range(megabytes):
            file.write(chooser.randbytes(PIECE))


def edit(path: Path, megabytes: int, seed: int) -> None:
    """Other bytes in one percent of the file, in its middle."""
    with path.open("r+b") as file:
        file.seek(megabytes * PIECE // 2)
        file.write(random.Random(1_000_000 + seed).randbytes(megabytes * PIECE // 100))


def upload(clients: Clients, path: Path) -> float:
    """Seconds of one upload of the bytes."""
    run = clients.python(f"""
        import time, huggingface_hub
        api = huggingface_hub.HfApi()
        api.create_repo({REPO!r}, exist_ok=True)
        begin = time.monotonic()
        api.preupload_lfs_files({REPO!r}, [huggingface_hub.CommitOperationAdd({NAME!r}, {str(path)!r})])
        print("seconds", time.monotonic() - begin)
    """, timeout=900)
    assert run.ok, run.output[-2000:]
    return float(run.output.split("seconds")[1].split()[0])


def sent(hub: RunningHub) -> int:
    """Bytes of xorbs that reached the hub."""
    return sum(entry["received"] for entry in hub.log() if entry["path"].startswith("/_cas/v1/xorbs/"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--megabytes", type=int, default=1024)
    options = parser.parse_args()
    work = WORK / "xet-push"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    seconds: dict[str, list[float]] = {"direct": [], "through the gate": []}
    edits: dict[str, list[float]] = {"direct": [], "through the gate": []}
    cpu: list[float] = []
    try:
        for turn in range(2 * options.rounds):
            hub = RunningHub(work / f"hub{turn}", "--no-samples", "--cas", str(CAS))
            hub.fault(role="hub", path="/_cas/v1/xorb-grants/*", status=404)
            gate = Gate(work / f"gate{turn}", hub.url, config="xet: terminate\n") if turn % 2 else None
            way = "through the gate" if gate else "direct"
            try:
                make_file(work / NAME, options.megabytes, turn)
                clients = Clients(gate.url if gate else hub.url, work / "home")
                before = cpu_seconds(gate.process.pid) if gate else 0
                seconds[way].append(upload(clients, work / NAME))
                if gate:
                    cpu.append(cpu_seconds(gate.process.pid) - before)
                first = sent(hub)
                edit(work / NAME, options.megabytes, turn)
                upload(clients, work / NAME)
                edits[way].append(float(sent(hub) - first))
            finally:
                if gate:
                    gate.stop()
                hub.stop()
                for folder in (work / f"hub{turn}", work / f"gate{turn}", work / "home"):
                    shutil.rmtree(folder, ignore_errors=True)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    size = options.megabytes * PIECE
    table(f"a file of {options.megabytes} MiB over Xet, median of {options.rounds}", ["", "s", "GB/s", "bytes of the edit"],
          [[way, median(values), size / median(values) / 1e9, median(edits[way])] for way, values in seconds.items()])
    print(f"  CPU of the gate: {median(cpu) / size * 1e9:.3g} s/GB")
    speed = median(seconds["direct"]) / median(seconds["through the gate"])
    good = [verdict("speed of a push / direct", speed, 0.5, at_most=False),
            verdict("bytes of an edit / direct", median(edits["through the gate"]) / median(edits["direct"]), 1.05)]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
