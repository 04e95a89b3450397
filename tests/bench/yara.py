"""yara.py [--megabytes N] [--rules N] [--rounds N]: what YARA rules of a policy cost.

A safetensors file of random weights, scanned without rules, with them, and by the `yara` command line
tool with the same rules; CPU time of whole processes and peak of resident memory, medians of
alternating rounds. Prints seconds and MB a CPU second; exits 1 when the three do not agree on what matches.
"""
from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import struct
import subprocess
import sys
from pathlib import Path

from measure import HUBGATE, WORK, median, table

MARKER = b"hubgate-bench-marker"
POLICY = "version: 1\nyara: bench.yar\nrules:\n  - {id: rest, action: annotate, override: malicious}\n"


def write_rules(path: Path, count: int) -> None:
    """Rules as people write them: two words and a hex string each, some with a regular expression."""
    chooser = random.Random(4)
    rules = ['rule Marker { strings: $a = "%s" condition: $a }' % MARKER.decode()]
    for number in range(count - 1):
        words = ["".join(chooser.choices("abcdefghijklmnopqrstuvwxyz_", k=12)) for _ in range(2)]
        strings = [f'$a = "{words[0]}"', f'$b = "{words[1]}" nocase wide ascii',
                   "$c = { %s ?? ?? %s }" % (chooser.randbytes(4).hex(" "), chooser.randbytes(4).hex(" "))]
        if number % 5 == 0:
            strings.append(f"$d = /{words[0][:6]}[0-9a-f]{{8,32}}/")
        rules.append(f"rule R{number} {{ strings: {' '.join(strings)} condition: any of them }}")
    path.write_text("\n".join(rules) + "\n")


def write_weights(path: Path, megabytes: int) -> None:
    size = megabytes << 20
    head = json.dumps({"w": {"dtype": "F32", "shape": [size // 4], "data_offsets": [0, size]}}).encode()
    head += b" " * (-len(head) % 8)
    chooser = random.Random(9)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(head)) + head)
        for number in range(megabytes):
            piece = bytearray(chooser.randbytes(1 << 20))
            if number == megabytes * 3 // 4:
                piece[1000:1000 + len(MARKER)] = MARKER
            file.write(piece)


def cost(command: list) -> tuple[float, str]:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in (0, 1):
        sys.exit(f"{command[0]} failed: {done.stderr[-500:]}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--rules", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    if shutil.which("yara") is None:
        sys.exit("install the package yara")
    folder = WORK / "yara"
    folder.mkdir(parents=True, exist_ok=True)
    weights, rules = folder / "model.safetensors", folder / "bench.yar"
    write_rules(rules, arguments.rules)
    (folder / "policy.yaml").write_text(POLICY)
    write_weights(weights, arguments.megabytes)
    scan = [HUBGATE, "scan", "--format", "jsonl", "--policy"]
    commands = {"hubgate scan": [*scan, "audit", weights],
                f"hubgate scan, {arguments.rules} YARA rules": [*scan, folder / "policy.yaml", weights],
                f"yara, {arguments.rules} rules": ["yara", "-f", rules, weights]}
    times: dict[str, list[float]] = {name: [] for name in commands}
    said: dict[str, str] = {}
    for _ in range(arguments.rounds):
        for name, command in commands.items():
            seconds, said[name] = cost(command)
            times[name].append(seconds)
    size = os.path.getsize(weights) / 1e6
    middle = {name: median(values) for name, values in times.items()}
    table(f"{size:.0f} MB of weights, median of {arguments.rounds}", ["", "CPU s", "CPU s a GB", "MB a CPU s"],
          [[name, seconds, seconds / size * 1000, size / seconds] for name, seconds in middle.items()])
    shutil.rmtree(folder)
    plain, ours, peers = said.values()
    agreed = "Marker" in peers and "bench.Marker" in ours and "yara:" not in plain and peers.count("\n") == 1
    if not agreed:
        print("they do not agree on what matches")
    return 0 if agreed else 1


if __name__ == "__main__":
    sys.exit(main())
