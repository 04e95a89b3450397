"""soak.py [--requests N]: 20,000 mixed requests with upstream faults, against one gate with its cache, proxy and ICAP.

Pulls, ranges, HEADs, listings, poisoned files, refused routes, uploads that are cut, clients that leave,
CONNECTs and ICAP; one request in 25 meets an upstream that cuts, resets, stalls, says 5xx, a wrong length
or other bytes (tests/e2e/mixed_load.py). After the first 2,000 and at the end, with nobody connected:
memory (PSS of gate and workers) and descriptors may differ by 5 percent. Exits 1 when they do, when a
connection was stuck, or when a byte was wrong.
"""
from __future__ import annotations

import argparse
import re
import shutil
import sys
import time

from measure import WORK, pss_bytes, table, verdict

from gate import Gate, free_port
from hub.client import RunningHub
from hub.samples import datasets, models
from mixed_load import CONFIG, MixedLoad, open_files

FIRST = 2000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--threads", type=int, default=8)
    arguments = parser.parse_args()
    folder = WORK / "soak"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    hub, proxy = RunningHub(folder / "hub", "--page-size", "20"), free_port()
    gate = Gate(folder / "gate", hub.url, "--proxy", f"127.0.0.1:{proxy}", config=f"{CONFIG}cache: {{}}\nicap: 127.0.0.1:{free_port()}\n")
    rows, settled = [], True
    try:
        icap = int(re.search(r"icap://127.0.0.1:(\d+)/", gate.log.read_text())[1])
        samples = {**models(), **{f"datasets/{name}": files for name, files in datasets().items()}}
        load = MixedLoad(gate, hub, samples, icap, proxy)
        started, done = time.monotonic(), 0
        while done < arguments.requests:
            load.run(min(FIRST, arguments.requests - done), arguments.threads)
            done = min(done + FIRST, arguments.requests)
            if done in (FIRST, arguments.requests) or done % 5000 == 0:
                settled &= not load.settle()
                time.sleep(3)  # buffers are given back after a second of silence
                rows.append([done, pss_bytes(gate.process.pid) / 1e6, open_files(gate), time.monotonic() - started])
    finally:
        gate.stop()
        hub.stop()
        shutil.rmtree(folder, ignore_errors=True)
    table("mixed requests with upstream faults", ["requests", "PSS MB", "descriptors", "seconds"], rows)
    print("  " + ", ".join(f"{number} {kind}" for kind, number in load.counts.items()))
    for line in load.wrong[:20]:
        print(f"  {line}")
    good = verdict("memory at the end / after the first", rows[-1][1] / rows[0][1], 1.05)
    good &= verdict("descriptors at the end / after the first", rows[-1][2] / rows[0][2], 1.05)
    good &= verdict("wrong or stuck", len(load.wrong), 0)
    return 0 if verdict("connections or scans that never ended", 0 if settled else 1, 0) and good else 1


if __name__ == "__main__":
    sys.exit(main())
