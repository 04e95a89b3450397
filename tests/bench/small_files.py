"""small_files.py [--files N] [--peer-files N] [--gigabytes N] [--rounds N]: many small files, and one large one.

A folder of small files of all kinds (the fixtures of the ledger, over and over): hubgate beside
modelaudit, both as their users start them, start-up included. modelaudit gets an even sample of the
folder, for all of it takes its hour; what it would take is its start, plus the rest in proportion.
Then checkpoints of some gigabytes (sparse on disk) in bounded memory. Exits 1 when a target is missed.
"""
from __future__ import annotations

import argparse
import io
import json
import os
import resource
import struct
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

from measure import HUBGATE, WORK, median, table, verdict
from others import QUIET, python_of
from peers import ledger_samples
from scan import own_memory

SMALL = 256 << 10


class Sparse(io.RawIOBase):
    """A file that leaves holes where zeros are written."""

    def __init__(self, path: Path):
        self.file = path.open("wb")

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.file.tell()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self.file.seek(offset, whence)

    def write(self, data) -> int:
        if len(data) >= 1 << 20 and not any(data):
            self.file.seek(len(data), os.SEEK_CUR)
        else:
            self.file.write(data)
        return len(data)

    def close(self) -> None:
        if not self.file.closed:
            self.file.truncate(self.file.tell())
            self.file.close()
        super().close()


def many(out: Path, count: int) -> int:
    """`count` files in folders of a hundred; returns their bytes."""
    with tempfile.TemporaryDirectory(dir=WORK) as folder:
        attacks, near = ledger_samples(Path(folder))
        kinds = [path for path in sorted(map(Path, attacks | near)) if path.is_file() and path.stat().st_size <= SMALL]
        size = 0
        for number in range(count):
            kind = kinds[number % len(kinds)]
            path = out / f"{number // 100:03}" / f"{number:05}_{kind.name}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(kind.read_bytes())
            size += path.stat().st_size
    return size


def large_safetensors(path: Path, size: int) -> None:
    header = json.dumps({"w": {"dtype": "F32", "shape": [size // 4], "data_offsets": [0, size]}}).encode()
    header += b" " * (-len(header) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + size)


def large_torch(path: Path, size: int) -> None:
    from hub.samples import state_dict
    with Sparse(path) as raw, zipfile.ZipFile(raw, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", state_dict({"w": [size // 4]}))
        archive.writestr("archive/byteorder", "little")
        with archive.open(zipfile.ZipInfo("archive/data/0"), "w", force_zip64=True) as member:
            block = bytes(16 << 20)
            for _ in range(size // len(block)):
                member.write(block)
        archive.writestr("archive/version", "3\n")


def wall_and_cpu(command: list, environment: dict) -> tuple[float, float]:
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment, check=False)
    wall, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    # modelaudit ends with 2 where it met errors of its own
    if done.returncode not in ((0, 1, 3) if command[0] == HUBGATE else (0, 1, 2)):
        sys.exit(f"{command[0]} failed with {done.returncode} after {wall:.0f} s: {done.stderr[-500:]!r}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def compare(folder: Path, count: int, peer_count: int, rounds: int, environment: dict) -> bool:
    size = many(folder / "many", count)
    files = sorted(path for path in (folder / "many").rglob("*") if path.is_file())
    sample = files[::max(1, count // peer_count)]
    for at, chosen in (("sample", sample), ("one", sample[:1])):
        for path in chosen:
            copy = folder / at / path.relative_to(folder / "many")
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    peer = [python_of("modelaudit").with_name("modelaudit"), "scan", "--no-cache", "--timeout", "36000", "--format", "json"]
    commands = {"hubgate": [HUBGATE, "scan", "--format", "jsonl", folder / "many"], "sample": [*peer, folder / "sample"], "one": [*peer, folder / "one"]}
    times: dict[str, list] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            times[name].append(wall_and_cpu(command, environment))
    ours, part, start = ([median([pair[at] for pair in pairs]) for at in (0, 1)] for pairs in times.values())
    whole = [one + (some - one) * (count - 1) / max(1, len(sample) - 1) for some, one in zip(part, start)]
    table(f"{count} small files ({size / 1e6:.1f} MB), start-up included", ["", "files", "seconds", "CPU s", "files/s"],
          [["hubgate scan", count, *ours, count / ours[0]], ["modelaudit", 1, *start, 1 / start[0]],
           ["modelaudit", len(sample), *part, len(sample) / part[0]], ["modelaudit, in proportion", count, *whole, count / whole[0]]])
    good = verdict("modelaudit / hubgate, seconds", whole[0] / ours[0], 10, at_most=False)
    return verdict("modelaudit / hubgate, CPU seconds", whole[1] / ours[1], 10, at_most=False) and good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=5000, help="0: none")
    parser.add_argument("--peer-files", type=int, default=100)
    parser.add_argument("--gigabytes", type=float, default=5, help="0: no large one")
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    good = True
    with tempfile.TemporaryDirectory(dir=WORK) as name:
        folder = Path(name)
        environment = {**os.environ, **QUIET, "HOME": str(folder)}
        if arguments.files:
            good = compare(folder, arguments.files, min(arguments.files, arguments.peer_files), arguments.rounds, environment)
        bytes_of = int(arguments.gigabytes * (1 << 30)) >> 24 << 24
        for kind, make in (("model.safetensors", large_safetensors), ("pytorch_model.bin", large_torch)) if bytes_of else ():
            path = folder / kind
            make(path, bytes_of)
            wall, cpu = wall_and_cpu([HUBGATE, "scan", path], environment)
            memory = own_memory(path)
            table(f"{kind} of {path.stat().st_size / 1e9:.2f} GB", ["seconds", "CPU s", "GB/s"], [[wall, cpu, path.stat().st_size / 1e9 / wall]])
            good &= verdict("memory beyond the mapping, MB", memory / 1e6, 256)
            path.unlink()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
