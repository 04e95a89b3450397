"""What the benchmarks share: CPU and memory of a process tree, medians, tables."""
from __future__ import annotations

import os
import statistics
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
ROOT = TESTS.parent
WORK = TESTS / ".work/bench"
HUBGATE = os.environ.get("HUBGATE", str(ROOT / "build/release/hubgate"))
sys.path[:0] = [str(TESTS), str(TESTS / "e2e")]
TICKS = os.sysconf("SC_CLK_TCK")


def tree(pid: int) -> list[int]:
    """The process and all that it started, directly or not."""
    pids = [pid]
    for parent in pids:
        try:
            for task in Path(f"/proc/{parent}/task").iterdir():
                pids += [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue
    return pids


def cpu_seconds(pid: int) -> float:
    """CPU time of the tree, children that have ended and were waited for included."""
    total = 0
    for one in tree(pid):
        try:
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += sum(map(int, fields[11:15]))
    return total / TICKS


def pss_bytes(pid: int) -> int:
    """Proportional set size of the tree: shared pages counted once."""
    total = 0
    for one in tree(pid):
        try:
            text = Path(f"/proc/{one}/smaps_rollup").read_text()
        except OSError:
            continue
        total += next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")) * 1024
    return total


def median(values: list[float]) -> float:
    return statistics.median(values)


def table(title: str, heads: list[str], rows: list[list]) -> None:
    cells = [[f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    widths = [max(len(head), *(len(row[at]) for row in cells)) for at, head in enumerate(heads)]
    print(f"\n{title}")
    for row in [heads, *cells]:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)))


def verdict(what: str, value: float, limit: float, at_most: bool = True) -> bool:
    good = value <= limit if at_most else value >= limit
    print(f"  {'ok  ' if good else 'MISS'} {what}: {value:.3g} (target {'at most' if at_most else 'at least'} {limit:g})")
    return good
