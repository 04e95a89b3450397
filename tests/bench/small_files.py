"""small_files.py [--files N] [--gigabytes N] [--rounds N]: many small files, and one large one.

A folder of small files of all kinds (the fixtures of the ledger, over and over): hubgate beside
modelaudit, both as their users start them, start-up included. Then checkpoints of some gigabytes
(sparse on disk) in bounded memory. Exits 1 when a target is missed.
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
        sys.exit(f"{command[0]} failed with {done.returncode}: {done.stderr[-500:]!r}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--gigabytes", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    good = True
    with tempfile.TemporaryDirectory(dir=WORK) as name:
        folder = Path(name)
        size = many(folder / "many", arguments.files)
        environment = {**os.environ, **QUIET, "HOME": str(folder)}
        commands = {"hubgate scan": [HUBGATE, "scan", "--format", "jsonl", folder / "many"],
                    "modelaudit": [python_of("modelaudit").with_name("modelaudit"), "scan", "--no-cache", "--format", "json", folder / "many"]}
        times: dict[str, list] = {name: [] for name in commands}
        for _ in range(arguments.rounds):
            for name, command in commands.items():
                times[name].append(wall_and_cpu(command, environment))
        middle = {name: tuple(median([pair[at] for pair in pairs]) for at in (0, 1)) for name, pairs in times.items()}
        table(f"{arguments.files} small files ({size / 1e6:.1f} MB), start-up included", ["", "seconds", "CPU s", "files/s"],
              [[name, *pair, arguments.files / pair[0]] for name, pair in middle.items()])
        good &= verdict("modelaudit / hubgate, seconds", middle["modelaudit"][0] / middle["hubgate scan"][0], 10, at_most=False)
        bytes_of = int(arguments.gigabytes * (1 << 30)) >> 24 << 24
        for kind, make in (("model.safetensors", large_safetensors), ("pytorch_model.bin", large_torch)):
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
