"""push.py [--rounds N] [--only NAME...] [--part N]: the hook beside the floor and beside gitleaks, in the same pushes.

text      2,000 commits with 20,000 small blobs (text, JSON, CSV) into a bare repository whose pre-receive
          hook runs, one after the other: a libgit2 program that only walks and reads (walk.cpp), hubgate
          with empty records, and gitleaks over the same range. Medians and ratios.
python    the same with a tenth of the blobs Python sources; stated, without a target.
history   one commit onto 100,000 commits and 50,000 refs: seconds of the hook's process.
large     a blob of 600 MB in a pack, and one of 100 MB that comes as a delta to another: peak memory of all processes.
--part N takes an Nth of every size: to see that all of it runs, not for figures.
Exits 1 when a target is missed.
"""
from __future__ import annotations

import argparse
import random
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

from measure import HUBGATE, WORK, median, pss_bytes, table, verdict

COMMITS, FILES = 2000, 10
OLD_COMMITS, OLD_REFS = 100_000, 50_000
LARGE, DELTIFIED = 600_000_000, 100_000_000
GITLEAKS = "github.com/zricethezav/gitleaks/v8@v8.30.1"
GIT = {"PATH": "/usr/bin:/bin", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}


def git(*arguments, **options) -> subprocess.CompletedProcess:
    return subprocess.run(["git", *map(str, arguments)], check=True, env=GIT, **options)


def blob(chooser: random.Random, commit: int, number: int, python: bool) -> tuple[str, bytes]:
    """A small file as model repositories have them: configuration, text, numbers, sometimes code."""
    words = [f"{chooser.randrange(1 << 24):x}" for _ in range(120)]
    if python and number == 9:
        lines = "".join(f"    if value > {int(word, 16)}:\n        total += weights[{int(word, 16) % 97}] * value\n" for word in words[:20])
        return f"run{commit:04}/step{number}.py", f"def step(weights, value):\n    total = 0\n{lines}    return total\n".encode()
    if number % 3 == 0:
        return f"run{commit:04}/config{number}.json", ('{"steps": [' + ", ".join(f'"{word}"' for word in words) + "]}\n").encode()
    if number % 3 == 1:
        return f"run{commit:04}/notes{number}.md", ("# run\n\n" + " ".join(words) + "\n").encode()
    return f"run{commit:04}/table{number}.csv", ("a,b,c\n" + "".join(f"{word},1,2\n" for word in words)).encode()


def make_source(path: Path, python: bool) -> None:
    git("init", "-q", "--bare", "-b", "main", path)
    chooser = random.Random(17)
    out = [b"reset refs/heads/main\n"]
    for commit in range(COMMITS):
        out.append(b"commit refs/heads/main\ncommitter A <a@a.invalid> %d +0000\ndata 4\nwork\n" % (1700000000 + commit))
        for number in range(FILES):
            name, data = blob(chooser, commit, number, python)
            out.append(b"M 100644 inline %b\ndata %d\n%b\n" % (name.encode(), len(data), data))
    git("-C", path, "fast-import", "--quiet", input=b"".join(out))
    git("-C", path, "repack", "-adq")


def empty_server(work: Path) -> Path:
    server = work / "server.git"
    shutil.rmtree(server, ignore_errors=True)
    shutil.rmtree(work / "data", ignore_errors=True)
    git("init", "-q", "--bare", "-b", "main", server)
    return server


def push_through(source: Path, server: Path, script: str, *refs: str) -> None:
    hook = server / "hooks/pre-receive"
    hook.write_text(f"#!/bin/bash\ncat >lines\n{script}")
    hook.chmod(0o755)
    done = subprocess.run(["git", "-C", source, "push", "-q", server, *(refs or ("main",))], capture_output=True, text=True, env=GIT, check=False)
    if done.returncode:
        outputs = "".join(file.read_text()[-2000:] for file in server.parent.glob("*.out"))
        sys.exit(f"the push failed: {done.stderr}{outputs}")


def side_by_side(work: Path, name: str, rounds: int) -> bool:
    make_source(work / "source.git", name == "python")
    commands = {
        "libgit2": f"{work}/walk",
        "hubgate": f"{HUBGATE} hook pre-receive --data {work}/data",
        "gitleaks": f"{WORK}/push-tools/gitleaks git --no-banner --exit-code 0 --log-opts=\"$(cut -d' ' -f2 lines) --not --all\" .",
    }
    results: dict[str, list[list[float]]] = {one: [] for one in commands}
    for turn in range(rounds):
        server = empty_server(work)
        order = list(commands) if turn % 2 == 0 else list(reversed(commands))
        push_through(work / "source.git", server,
                     "".join(f"TIMEFORMAT='%R %U %S'\n{{ time {commands[one]} <lines >{work}/{one}.out 2>&1; }} 2>{work}/{one}.time || exit 1\n"
                             for one in order))
        for one in commands:
            results[one].append([float(part) for part in (work / f"{one}.time").read_text().split()[-3:]])
    middle = {one: [median([value[at] for value in values]) for at in range(3)] for one, values in results.items()}
    table(f"{name}: {COMMITS} commits, {COMMITS * FILES} blobs, median of {rounds} ({(work / 'libgit2.out').read_text().strip()})",
          ["", "s", "CPU s, user", "system"], [[one, *values] for one, values in middle.items()])
    floor, gitleaks = middle["hubgate"][0] / middle["libgit2"][0], middle["gitleaks"][0] / middle["hubgate"][0]
    if name == "python":
        print(f"       hubgate / libgit2 {floor:.3g}, gitleaks / hubgate {gitleaks:.3g}")
        return True
    return all([verdict("hubgate / libgit2 walk and read", floor, 3.0), verdict("gitleaks / hubgate", gitleaks, 4.0, at_most=False)])


def long_history(work: Path, rounds: int) -> bool:
    """A repository that was there before the hook; main is one of its many refs."""
    server = empty_server(work)
    out = [b"blob\nmark :1\ndata 4\ntext\n"]
    for commit in range(OLD_COMMITS):
        out.append(b"commit refs/heads/main\ncommitter A <a@a.invalid> %d +0000\ndata 4\nwork\nM 100644 :1 f%d\n" % (1600000000 + commit, commit % 100))
    git("-C", server, "fast-import", "--quiet", input=b"".join(out))
    ids = git("-C", server, "rev-list", f"--max-count={OLD_REFS}", "main", capture_output=True, text=True).stdout.split()
    head = ids[0]
    lines = sorted(f"refs/heads/b{number:05}" for number in range(OLD_REFS))
    (server / "packed-refs").write_text("# pack-refs with: peeled fully-peeled sorted \n"
                                        + "".join(f"{one} {ref}\n" for ref, one in zip(lines, ids)) + f"{head} refs/heads/main\n")
    (server / "refs/heads/main").unlink(missing_ok=True)
    client = work / "client.git"
    git("init", "-q", "--bare", "-b", "main", client)
    (client / "objects/info/alternates").write_text(f"{server}/objects\n")
    times = []
    for turn in range(max(rounds, 3)):
        data = b"text %d\n" % turn
        git("-C", client, "fast-import", "--quiet", input=b"commit refs/heads/main\ncommitter A <a@a.invalid> %d +0000\ndata 4\nwork\n%s"
            b"M 100644 inline new\ndata %d\n%b\n" % (1800000000 + turn, b"from %b\n" % head.encode() if turn == 0 else b"from refs/heads/main^0\n",
                                                   len(data), data))
        push_through(client, server, f"TIMEFORMAT='%R'\n{{ time {HUBGATE} hook pre-receive --data {work}/data <lines >{work}/hubgate.out 2>&1; }} "
                     f"2>{work}/hubgate.time || exit 1\n", "main")
        times.append(float((work / "hubgate.time").read_text().split()[-1]))
    table(f"history: one commit onto {OLD_COMMITS} commits and {OLD_REFS} refs", ["", "s"], [[f"push {turn + 1}", one] for turn, one in enumerate(times)])
    return verdict("seconds in the hook, median", median(times), 0.3)


def large_blobs(work: Path) -> bool:
    """Peak of the proportional memory of the hook and all that it started."""
    server, client = empty_server(work), work / "client.git"
    git("init", "-q", "--bare", "-b", "main", client)
    git("-C", server, "config", "receive.unpackLimit", "1")
    git("-C", client, "config", "core.compression", "0")
    noise = random.Random(3).randbytes(1 << 20)
    large = b"".join(noise[at:] + noise[:at] for at in range(LARGE // len(noise) + 1))[:LARGE]
    base = large[:DELTIFIED]
    rows = []
    for name, data in (("a blob of 600 MB", large), ("100 MB", base), ("a delta to it", base[:DELTIFIED // 2] + b"changed" + base[DELTIFIED // 2:])):
        parent = b"from refs/heads/main^0\n" if rows else b""
        git("-C", client, "fast-import", "--quiet",
            input=b"commit refs/heads/main\ncommitter A <a@a.invalid> 1700000000 +0000\ndata 4\nwork\n%sM 100644 inline data.bin\ndata %d\n%b\n"
            % (parent, len(data), data))
        (work / "hubgate.memory").write_text("0")
        started = time.monotonic()
        push_through(client, server, f"{HUBGATE} hook pre-receive --policy audit --data {work}/data <lines >{work}/hubgate.out 2>&1 & pid=$!\n"
                     f"{sys.executable} {Path(__file__).resolve()} --sample $pid {work}/hubgate.memory\nwait $pid\n")
        seconds, peak = time.monotonic() - started, float((work / "hubgate.memory").read_text())
        rows.append([name, peak / 1e6, seconds])
    deltas = sum(len(line.split()) == 7 for pack in (server / "objects/pack").glob("*.idx")
                 for line in git("verify-pack", "-v", pack, capture_output=True, text=True).stdout.splitlines() if " blob " in line)
    if deltas == 0:
        sys.exit("no blob came as a delta")
    table("large: in a pack of the push", ["", "peak MB, all processes", "s, the whole push"], rows)
    return verdict("MB for a blob of 600 MB", rows[0][1], 200)


def sample(pid: int, to: Path) -> None:
    peak = 0
    while Path(f"/proc/{pid}/smaps_rollup").exists():
        now = pss_bytes(pid)
        peak = max(peak, now)
        to.write_text(str(peak))
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return
        except OSError:
            return
        time.sleep(0.02)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=["text", "python", "history", "large"])
    parser.add_argument("--sample", nargs=2, metavar=("PID", "FILE"), help=argparse.SUPPRESS)
    parser.add_argument("--part", type=int, default=1)
    flags = parser.parse_args()
    global COMMITS, OLD_COMMITS, OLD_REFS, LARGE, DELTIFIED
    COMMITS, OLD_COMMITS, OLD_REFS, LARGE, DELTIFIED = (size // flags.part for size in (COMMITS, OLD_COMMITS, OLD_REFS, LARGE, DELTIFIED))
    if flags.sample:
        sample(int(flags.sample[0]), Path(flags.sample[1]))
        return 0
    work = WORK / "push"
    good = True
    for name in flags.only:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        if name == "history":
            good = long_history(work, flags.rounds) and good
        elif name == "large":
            good = large_blobs(work) and good
        else:
            here = Path(__file__).resolve().parent
            linked = subprocess.run(["pkg-config", "--cflags", "--libs", "libgit2"], capture_output=True, text=True, check=True).stdout
            subprocess.run(["g++", "-std=c++20", "-O2", here / "walk.cpp", "-o", work / "walk", *shlex.split(linked)], check=True)
            if not (WORK / "push-tools/gitleaks").exists():
                subprocess.run(["env", f"GOBIN={WORK}/push-tools", "go", "install", GITLEAKS], check=True)
            good = side_by_side(work, name, flags.rounds) and good
    shutil.rmtree(work, ignore_errors=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
