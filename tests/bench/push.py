"""push.py [--rounds N]: the hook beside the floor, in the same pushes.

Pushes 2,000 commits with 20,000 small blobs into a bare repository whose pre-receive hook runs a
libgit2 program that only walks and reads (walk.cpp), and hubgate with empty records, one after the
other. Prints medians and the ratio; exits 1 when the target is missed.
"""
from __future__ import annotations

import argparse
import random
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from measure import HUBGATE, WORK, median, table, verdict

COMMITS, FILES = 2000, 10
GIT = {"PATH": "/usr/bin:/bin", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}


def blob(chooser: random.Random, commit: int, number: int) -> tuple[str, bytes]:
    """A small file as model repositories have them: configuration, text, numbers."""
    words = [f"{chooser.randrange(1 << 24):x}" for _ in range(120)]
    if number % 3 == 0:
        return f"run{commit:04}/config{number}.json", ('{"steps": [' + ", ".join(f'"{word}"' for word in words) + "]}\n").encode()
    if number % 3 == 1:
        return f"run{commit:04}/notes{number}.md", ("# run\n\n" + " ".join(words) + "\n").encode()
    return f"run{commit:04}/table{number}.csv", ("a,b,c\n" + "".join(f"{word},1,2\n" for word in words)).encode()


def make_source(path: Path) -> None:
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", path], check=True, env=GIT)
    chooser = random.Random(17)
    out = [b"reset refs/heads/main\n"]
    for commit in range(COMMITS):
        out.append(b"commit refs/heads/main\ncommitter A <a@a.invalid> %d +0000\ndata 4\nwork\n" % (1700000000 + commit))
        for number in range(FILES):
            name, data = blob(chooser, commit, number)
            out.append(b"M 100644 inline %b\ndata %d\n%b\n" % (name.encode(), len(data), data))
    subprocess.run(["git", "-C", path, "fast-import", "--quiet"], input=b"".join(out), check=True, env=GIT)
    subprocess.run(["git", "-C", path, "repack", "-adq"], check=True, env=GIT)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    work = WORK / "push"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    here = Path(__file__).resolve().parent
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "libgit2"], capture_output=True, text=True, check=True).stdout
    subprocess.run(["g++", "-std=c++20", "-O2", here / "walk.cpp", "-o", work / "walk", *shlex.split(flags)], check=True)
    make_source(work / "source.git")
    results: dict[str, list[list[float]]] = {"libgit2": [], "hubgate": []}
    for turn in range(rounds):
        server = work / "server.git"
        shutil.rmtree(server, ignore_errors=True)
        shutil.rmtree(work / "data", ignore_errors=True)
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", server], check=True, env=GIT)
        hook = server / "hooks/pre-receive"
        commands = {"libgit2": f"{work}/walk", "hubgate": f"{HUBGATE} hook pre-receive --data {work}/data"}
        order = list(commands) if turn % 2 == 0 else list(reversed(commands))
        runs = "".join(f"TIMEFORMAT='%R %U %S'\n{{ time {commands[name]} <lines >{work}/{name}.out 2>&1; }} 2>{work}/{name}.time || exit 1\n"
                       for name in order)
        hook.write_text(f"#!/bin/bash\ncat >lines\n{runs}")
        hook.chmod(0o755)
        done = subprocess.run(["git", "-C", work / "source.git", "push", "-q", server, "main"], capture_output=True, text=True,
                              env=GIT, check=False)
        if done.returncode:
            outputs = "".join((work / f"{name}.out").read_text()[-2000:] for name in commands if (work / f"{name}.out").exists())
            sys.exit(f"the push failed: {done.stderr}{outputs}")
        for name in commands:
            elapsed, user, system = map(float, (work / f"{name}.time").read_text().split()[-3:])
            results[name].append([elapsed, user, system])
    middle = {name: [median([value[at] for value in values]) for at in range(3)] for name, values in results.items()}
    table(f"{COMMITS} commits, {COMMITS * FILES} blobs, median of {rounds} ({(work / 'libgit2.out').read_text().strip()})",
          ["", "s", "CPU s, user", "system"], [[name, *values] for name, values in middle.items()])
    return 0 if verdict("hubgate / libgit2 walk and read", middle["hubgate"][0] / middle["libgit2"][0], 3.0) else 1


if __name__ == "__main__":
    sys.exit(main())
