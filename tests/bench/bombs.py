"""bombs.py: what decompression bombs cost. Each must end inconclusive or worse within its budget.

CPU seconds and peak memory of one `hubgate scan` a bomb; exits 1 when one takes more than 130 CPU
seconds (the scan's limit and a little), more than 700 MB, or comes out clean.
"""
from __future__ import annotations

import json
import subprocess
import sys
import time

from measure import HUBGATE, WORK, cpu_seconds, pss_bytes, table

from fixtures.containers import DEFLATE, Entry, Zip, gzip, lzma_alone, raw_deflate, tar_of, xz, zip_of, zstd_frame
from fixtures.families.arc import quoted, rle_zstd

MIB = 1 << 20


def layers(depth: int, width: int) -> bytes:
    """42.zip in small: archives of `width` equal archives, `depth` times."""
    inner = zip_of({"zeros": b"\0" * (16 * MIB)}, DEFLATE)
    for _ in range(depth):
        inner = zip_of({f"{i}.zip": inner for i in range(width)}, DEFLATE)
    return inner


def many_members(count: int) -> bytes:
    """More members than the limit allows, packed again."""
    return gzip(zip_of({str(i): b"" for i in range(count)}), level=1)


BOMBS = {
    "zip, 256 MiB of zeros in one member": lambda: Zip([Entry(
        "zeros", b"", DEFLATE, raw=raw_deflate(b"\0" * (256 * MIB)), crc=0,
        local={"usize": 1 << 28}, central={"usize": 1 << 28})]).build(),
    "zip of zips, 5 deep, 16 wide": lambda: layers(5, 16),
    "zip, 250 members over one kernel (overlap)": lambda: quoted(250, 16 * MIB),
    "gzip in gzip in gzip": lambda: gzip(gzip(gzip(b"\0" * (512 * MIB), level=6))),
    "xz, 1 GiB of zeros": lambda: xz(b"\0" * (1024 * MIB)),
    "lzma, 1 GiB of zeros": lambda: lzma_alone(b"\0" * (1024 * MIB)),
    "zstd, RLE blocks, 32 GiB": lambda: rle_zstd(1 << 18),
    "zstd in tar in zstd": lambda: zstd_frame(tar_of({str(i): rle_zstd(20_000) for i in range(20)})),
    "gzip of a zip of 1050000 members": lambda: many_members(1_050_000),
    "tar, a sparse member of an exabyte": lambda: sparse(),
}


def sparse() -> bytes:
    from fixtures.containers import Member, tar
    real = b"\x80" + (1 << 60).to_bytes(11, "big")
    tail = b"\0" * 41 + b"%011o\0%011o\0" % (0, 512) + b"\0" * 72 + b"\0" + real
    return tar([Member("sparse", b"x" * 512, type=b"S", magic=b"ustar  \0", gnu_tail=tail)])


def measured(path) -> tuple[float, float, dict]:
    """(CPU seconds, peak MB, report) of one scan, workers counted."""
    cpu, peak = 0.0, 0.0
    with subprocess.Popen([HUBGATE, "scan", "--format", "jsonl", str(path)], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True) as scan:
        while scan.poll() is None:
            cpu, peak = max(cpu, cpu_seconds(scan.pid)), max(peak, pss_bytes(scan.pid) / 1e6)
            time.sleep(0.02)
        return cpu, peak, json.loads(scan.stdout.readline())


def main() -> int:
    WORK.mkdir(parents=True, exist_ok=True)
    rows, failed = [], False
    path = WORK / "bomb.bin"
    for name, make in BOMBS.items():
        path.write_bytes(make())
        cpu, peak, report = measured(path)
        bad = cpu > 130 or peak > 700 or report["verdict"] == "clean"
        failed |= bad
        rows.append([name, f"{path.stat().st_size / 1e6:.3f}", f"{cpu:.2f}", f"{peak:.0f}", report["verdict"],
                     ",".join(report["reasons"]), "FAILED" if bad else ""])
        path.unlink()
    table("decompression bombs", ["bomb", "MB", "CPU s", "peak MB", "verdict", "reasons", ""], rows)
    return failed


if __name__ == "__main__":
    sys.exit(main())
