"""xet.py [--rounds N] [--gigabytes N]: pulls of a large file over Xet, directly and through the gate, from one local CAS.

huggingface_hub with hf_xet downloads a safetensors file of random bytes: from the hub itself, through a gate that has never seen it,
and through the same gate again. Prints medians of the download's time and ratios of speed; exits 1 when a target is missed.
"""
from __future__ import annotations

import argparse
import hashlib
import shutil
import sys
from pathlib import Path

from measure import WORK, cpu_seconds, median, table, verdict

from clients import CAS, Clients
from gate import Gate
from hub.client import RunningHub

REPO, NAME = "alice/large", "model.safetensors"


def make_file(path: Path, gigabytes: int) -> str:
    size = gigabytes << 30
    header = b'{"w":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]}}' % (size, size)
    header += b" " * (-len(header) % 8)
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for piece in [len(header).to_bytes(8, "little") + header, *range(size >> 20)]:
            piece = piece if isinstance(piece, bytes) else hashlib.shake_128(piece.to_bytes(4, "little")).digest(1 << 20)
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest()


def download(clients: Clients, sha256: str) -> float:
    """Seconds of one download into an empty cache."""
    run = clients.python(f"""
        import hashlib, time, huggingface_hub
        begin = time.monotonic()
        path = huggingface_hub.hf_hub_download({REPO!r}, {NAME!r})
        print("seconds", time.monotonic() - begin)
        with open(path, "rb") as file:
            print("sha256", hashlib.file_digest(file, "sha256").hexdigest())
    """, timeout=900)
    shutil.rmtree(clients.home)
    assert run.ok and sha256 in run.output, run.output[-2000:]
    return float(run.output.split("seconds")[1].split()[0])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--gigabytes", type=int, default=2)
    options = parser.parse_args()
    work = WORK / "xet"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    sha256 = make_file(work / NAME, options.gigabytes)
    hub = RunningHub(work / "hub", "--no-samples", "--cas", str(CAS), "--cas-direct")
    seconds: dict[str, list[float]] = {"direct": [], "first through the gate": [], "second through the gate": []}
    cpu: list[float] = []
    try:
        run = Clients(hub.url, work / "home").python(f"""
            import huggingface_hub
            api = huggingface_hub.HfApi()
            api.create_repo({REPO!r})
            api.upload_file(repo_id={REPO!r}, path_or_fileobj={str(work / NAME)!r}, path_in_repo={NAME!r})
        """, timeout=900)
        assert run.ok, run.output
        (work / NAME).unlink()
        for turn in range(options.rounds):
            seconds["direct"].append(download(Clients(hub.url, work / "home"), sha256))
            gate = Gate(work / f"gate{turn}", hub.url, config="xet: terminate\n")
            try:
                seconds["first through the gate"].append(download(Clients(gate.url, work / "home"), sha256))
                before = cpu_seconds(gate.process.pid)
                seconds["second through the gate"].append(download(Clients(gate.url, work / "home"), sha256))
                cpu.append(cpu_seconds(gate.process.pid) - before)
            finally:
                gate.stop()
    finally:
        hub.stop()
        shutil.rmtree(work, ignore_errors=True)
    middle = {name: median(values) for name, values in seconds.items()}
    bytes_ = options.gigabytes << 30
    table(f"a file of {options.gigabytes} GiB over Xet, median of {options.rounds}", ["", "s", "GB/s"],
          [[name, value, bytes_ / value / 1e9] for name, value in middle.items()])
    print(f"  CPU of the gate on a second pull: {median(cpu) / bytes_ * 1e9:.3g} s/GB")
    good = [verdict("speed of a first pull / direct", middle["direct"] / middle["first through the gate"], 0.5, at_most=False),
            verdict("speed of a second pull / direct", middle["direct"] / middle["second through the gate"], 0.8, at_most=False)]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
