"""lfs.py [--rounds N] [--gigabytes N]: the hook judging a large LFS object, beside hashing the same file with openssl.

A safetensors file lies in a bare repository's LFS store; a pointer to it is pushed into fresh records. Prints medians of time
and CPU and the ratio of speeds; exits 1 when the target is missed. Nothing that is large stays behind.
"""
from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys

from measure import HUBGATE, WORK, median, table, verdict

GIT = {"PATH": "/usr/bin:/bin:/usr/sbin", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "A",
       "GIT_AUTHOR_EMAIL": "a@a.invalid", "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@a.invalid"}


def timed(command: str, where: str) -> str:
    return f"TIMEFORMAT='%R %U %S'\n{{ time {command}; }} 2>{where} || exit 1\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--gigabytes", type=int, default=2)
    options = parser.parse_args()
    work = WORK / "lfs"
    shutil.rmtree(work, ignore_errors=True)
    server, person = work / "server.git", work / "person"
    for arguments in (["--bare", server], [person]):
        subprocess.run(["git", "init", "-q", "-b", "main", *arguments], check=True, env=GIT)
    size = options.gigabytes << 30
    header = b'{"w":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]}}' % (size, size)
    header += b" " * (-len(header) % 8)
    block = hashlib.shake_128(header).digest(1 << 20)
    spool, digest = work / "spool", hashlib.sha256()
    with spool.open("wb") as file:
        for piece in [len(header).to_bytes(8, "little") + header] + [block] * (size >> 20):
            digest.update(piece)
            file.write(piece)
    oid = digest.hexdigest()
    place = server / "lfs/objects" / oid[:2] / oid[2:4] / oid
    place.parent.mkdir(parents=True)
    spool.rename(place)
    (person / "model.safetensors").write_bytes(
        b"version https://git-lfs.github.com/spec/v1\noid sha256:%b\nsize %d\n" % (oid.encode(), place.stat().st_size))
    subprocess.run(["git", "-C", person, "add", "-A"], check=True, env=GIT)
    subprocess.run(["git", "-C", person, "commit", "-q", "-m", "model"], check=True, env=GIT)
    commands = {"openssl": f"openssl dgst -sha256 {place} >/dev/null",
                "hubgate": f"{HUBGATE} hook pre-receive --data {work}/data <lines >{work}/hubgate.out 2>&1"}
    results: dict[str, list[list[float]]] = {name: [] for name in commands}
    hook = server / "hooks/pre-receive"
    try:
        for turn in range(options.rounds):
            shutil.rmtree(work / "data", ignore_errors=True)
            order = list(commands) if turn % 2 == 0 else list(reversed(commands))
            runs = "".join(timed(commands[name], f"{work}/{name}.time") for name in order)
            # Once through the page cache; the push itself is turned away, so that the next one is the same.
            hook.write_text(f"#!/bin/bash\ncat >lines\ncat {place} >/dev/null\n{runs}touch {work}/done\nexit 1\n")
            hook.chmod(0o755)
            (work / "done").unlink(missing_ok=True)
            subprocess.run(["git", "-C", person, "push", "-q", server, "main"], capture_output=True, env=GIT, check=False)
            if not (work / "done").exists():
                sys.exit(f"the push failed: {(work / 'hubgate.out').read_text()[-2000:]}")
            for name in commands:
                results[name].append(list(map(float, (work / f"{name}.time").read_text().split()[-3:])))
    finally:
        shutil.rmtree(work, ignore_errors=True)
    middle = {name: [median([value[at] for value in values]) for at in range(3)] for name, values in results.items()}
    table(f"an LFS object of {options.gigabytes} GiB, median of {options.rounds}", ["", "s", "CPU s, user", "system"],
          [[name, *values] for name, values in middle.items()])
    cpu = {name: values[1] + values[2] for name, values in middle.items()}
    verdict("CPU: hashing alone / judging", cpu["openssl"] / cpu["hubgate"], 0.9, at_most=False)
    return 0 if verdict("speed of judging / of hashing alone", middle["openssl"][0] / middle["hubgate"][0], 0.9, at_most=False) else 1


if __name__ == "__main__":
    sys.exit(main())
