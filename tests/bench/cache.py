"""cache.py [--rounds N] [--gigabytes N]: what is in the cache, beside nginx serving the same file.

The nginx that plays the hub is also the one to compare with: it serves the file from its disk, over
TLS. The gate asks it with each pull whether it may, and checks each MiB before it leaves. Also what
the filling costs a first pull. Prints medians and ratios; exits 1 when the target is missed.
"""
from __future__ import annotations

import argparse
import sys
import time

from measure import WORK, cpu_seconds, median, table, verdict
from proxy import INFO, MODEL, BenchGate, Nginx, certificate, model, pull, upstream


def kept(gate: BenchGate, size: int) -> None:
    """Waits until the object is an entry."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for path in (gate.data / "cache/objects").rglob("*"):
            if path.is_file() and path.stat().st_size >= size:
                return
        time.sleep(0.05)
    raise SystemExit("the object was not kept")


def first_pulls(hub: Nginx, size: int, rounds: int) -> None:
    rows = []
    for name, options in (("no cache", ()), ("cache", ("--cache", "100GiB"))):
        seconds, cpu = [], []
        for _ in range(rounds):
            gate = BenchGate(hub.port, *options)
            pull(gate.port, INFO)
            before = cpu_seconds(gate.process.pid)
            seconds.append(pull(gate.port, MODEL)[0])
            if options:
                kept(gate, size)
            cpu.append(cpu_seconds(gate.process.pid) - before)
            gate.stop()
        rows.append([name, size / 1e9 / median(seconds), median(cpu) / (size / 1e9)])
    table(f"first pull of {size / (1 << 30):g} GiB, median of {rounds}", ["", "GB/s", "CPU s/GB"], rows)


def later_pulls(hub: Nginx, size: int, rounds: int) -> bool:
    gate = BenchGate(hub.port, "--cache", "100GiB")
    pull(gate.port, MODEL)
    kept(gate, size)
    results: dict[str, list[tuple[float, float, float]]] = {"nginx": [], "gate": []}
    for _ in range(rounds):
        for name, server in (("nginx", hub), ("gate", gate)):
            before = cpu_seconds(server.process.pid)
            seconds, first = pull(server.port, MODEL)
            results[name].append((seconds, first, cpu_seconds(server.process.pid) - before))
    gate.stop()
    rows, speed = [], {}
    for name, values in results.items():
        seconds, first, cpu = (median([value[at] for value in values]) for at in range(3))
        speed[name] = size / 1e9 / seconds
        rows.append([name, speed[name], cpu / (size / 1e9), first * 1000])
    table(f"{size / (1 << 30):g} GiB that is there, median of {rounds}", ["", "GB/s", "CPU s/GB", "first byte ms"], rows)
    return verdict("speed, gate from its cache / nginx", speed["gate"] / speed["nginx"], 0.9, at_most=False)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--gigabytes", type=float, default=2)
    arguments = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    certificate()
    size = int(arguments.gigabytes * (1 << 30)) >> 20 << 20
    file = WORK / "model.safetensors"
    hub = upstream({MODEL: (file, model(file, size, "w"))})
    try:
        first_pulls(hub, size, min(3, arguments.rounds))
        return 0 if later_pulls(hub, size, arguments.rounds) else 1
    finally:
        hub.stop()
        file.unlink()


if __name__ == "__main__":
    sys.exit(main())
