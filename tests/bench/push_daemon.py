"""push_daemon.py [--rounds N]: what the hook costs a push of one commit, by itself and with the daemon.

The same one-commit pushes into a bare repository whose pre-receive hook runs hubgate in its own
process, and hubgate that asks `hubgate serve` over its socket. Prints medians of the hook process;
exits 1 when the daemon does not make it cheaper.
"""
from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time

from measure import HUBGATE, WORK, median, table, verdict
from push import GIT

FILES = {"config.json": b'{"model_type": "bert", "hidden_size": 768}\n', "README.md": b"# a model\n\nWords.\n",
         "vocabulary.txt": b"one\ntwo\nthree\n" * 300}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    work = WORK / "push_daemon"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    source, server = work / "source", work / "server.git"
    subprocess.run(["git", "init", "-q", "-b", "main", source], check=True, env=GIT)
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", server], check=True, env=GIT)
    socket = work / "hook.sock"
    with (work / "serve.log").open("w") as log:
        daemon = subprocess.Popen([HUBGATE, "serve", "--socket", socket, "--data", work / "gate"], stderr=log)
    while not socket.exists():
        if daemon.poll() is not None:
            sys.exit((work / "serve.log").read_text())
        time.sleep(0.05)
    commands = {"in its own process": f"{HUBGATE} hook pre-receive --data {work}/data",
                "with the daemon": f"{HUBGATE} hook pre-receive --daemon {socket}"}
    results: dict[str, list[list[float]]] = {name: [] for name in commands}
    hook = server / "hooks/pre-receive"
    who = ["-c", "user.name=A", "-c", "user.email=a@a.invalid"]
    for turn in range(rounds):
        for name, data in FILES.items():
            (source / name).write_bytes(data + b"%d\n" % turn)
        subprocess.run(["git", "-C", source, "add", "-A"], check=True, env=GIT)
        subprocess.run(["git", "-C", source, *who, "commit", "-qm", "work"], check=True, env=GIT)
        order = list(commands) if turn % 2 == 0 else list(reversed(commands))
        runs = "".join(f"TIMEFORMAT='%R %U %S'\n{{ time {commands[name]} <lines >'{work}/{name}.out' 2>&1; }} 2>'{work}/{name}.time' || exit 1\n"
                       for name in order)
        hook.write_text(f"#!/bin/bash\ncat >lines\n{runs}")
        hook.chmod(0o755)
        done = subprocess.run(["git", "-C", source, "push", "-q", server, "main"], capture_output=True, text=True, env=GIT, check=False)
        if done.returncode:
            sys.exit(f"the push failed: {done.stderr}" + "".join((work / f"{name}.out").read_text() for name in commands
                                                                  if (work / f"{name}.out").exists()))
        for name in commands:
            results[name].append([float(word) for word in (work / f"{name}.time").read_text().split()[-3:]])
    daemon.terminate()
    daemon.wait()
    middle = {name: [median([value[at] for value in values]) for at in range(3)] for name, values in results.items()}
    table(f"a push of one commit with {len(FILES)} files, the hook's process, median of {rounds}",
          ["", "s", "CPU s, user", "system"], [[name, *values] for name, values in middle.items()])
    alone, asked = middle.values()
    return 0 if verdict("with the daemon / by itself, s", asked[0] / alone[0], 1.0) else 1


if __name__ == "__main__":
    sys.exit(main())
