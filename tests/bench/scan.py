"""scan.py [--rounds N] [--megabytes N]: the pickle walk beside picklescan and pickletools.genops.

One pickle of small opcodes; CPU time of whole processes, medians of alternating rounds. Prints the
ratios and hubgate's peak of memory of its own; exits 1 when a target is missed.
"""
from __future__ import annotations

import argparse
import pickle
import resource
import subprocess
import sys
import time
from pathlib import Path

from measure import HUBGATE, WORK, median, table, tree, verdict

PEER = "picklescan==1.0.5"


def make_pickle(path: Path, megabytes: int) -> None:
    """Tuples of small numbers and short words: three bytes an opcode."""
    rows = []
    sample = [(n % 250, n % 7 == 0, f"k{n % 1000}", (n % 13, None)) for n in range(20_000)]
    size = len(pickle.dumps(sample, protocol=4))
    for turn in range((megabytes << 20) // size):
        rows.append([(a, b, c + str(turn), d) for a, b, c, d in sample])
    path.write_bytes(pickle.dumps(rows, protocol=4))


def cpu_of(command: list) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in (0, 1):
        sys.exit(f"{command[0]} failed: {done.stderr[-500:]}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def own_memory(path: Path) -> int:
    """Peak of anonymous and shared memory of hubgate and its worker; the mapped file is not in it."""
    peak, process = 0, subprocess.Popen([HUBGATE, "scan", path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        total = 0
        for pid in tree(process.pid):
            try:
                lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            except OSError:
                continue
            total += sum(int(line.split()[1]) for line in lines if line.startswith(("RssAnon:", "RssShmem:"))) * 1024
        peak = max(peak, total)
        time.sleep(0.002)
    return peak


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--megabytes", type=int, default=48)
    arguments = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    venv = WORK / "peers"
    if not (venv / "bin/picklescan").exists():
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        subprocess.run([venv / "bin/pip", "install", "-q", PEER], check=True)
    path = WORK / "small-opcodes.pkl"
    make_pickle(path, arguments.megabytes)
    genops = f"import pickletools\nfor _ in pickletools.genops(open({str(path)!r}, 'rb').read()): pass"
    commands = {"hubgate scan": [HUBGATE, "scan", path], "pickletools.genops": [sys.executable, "-c", genops],
                "picklescan": [venv / "bin/picklescan", "--path", path]}
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(arguments.rounds):
        for name, command in commands.items():
            times[name].append(cpu_of(command))
    middle = {name: median(values) for name, values in times.items()}
    size = path.stat().st_size / 1e6
    table(f"{size:.1f} MB pickle of small opcodes, median of {arguments.rounds}", ["", "CPU s", "MB per CPU s"],
          [[name, seconds, size / seconds] for name, seconds in middle.items()])
    memory = own_memory(path)
    path.unlink()
    good = verdict("picklescan / hubgate, CPU time", middle["picklescan"] / middle["hubgate scan"], 100, at_most=False)
    good &= verdict("genops / hubgate, CPU time", middle["pickletools.genops"] / middle["hubgate scan"], 40, at_most=False)
    return 0 if good & verdict("memory beyond the mapping, MB", memory / 1e6, 64) else 1


if __name__ == "__main__":
    sys.exit(main())
