"""peers.py [--every N] [--benign N] [--only NAME...] [--out FILE.csv] [--assets]: hubgate beside other scanners.

picklescan, modelscan, fickling and modelaudit run over the project's corpus: attack fixtures and near
misses of the ledger, and every so manyth file of the collected corpus and of what the makers write.
One table: flagged, missed, false alarms, errors, CPU seconds, memory. An attack that is inconclusive
is no miss (the policy holds it), but it is not flagged either; a peer's error counts likewise. A peer's
start-up is counted once (others.py says how they run, and that their answers are kept); hubgate is one
run of the program for the attacks and one for the rest, its workers counted, every time.

Then hubgate over the test assets that a peer publishes, beside that peer: of the four only
modelaudit's source package has any. Where a peer flags an attack or an asset that hubgate does not, or
the two judge an asset differently, peers/differences.csv must say why. Exits 1 if it does not, or if
hubgate misses an attack or raises a false alarm.
"""
from __future__ import annotations

import argparse
import csv
import fnmatch
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

from measure import HUBGATE, TESTS, WORK, pss_bytes, table
from others import HERE, HOME, Answer, ask

PEERS = ["picklescan", "modelscan", "fickling", "modelaudit"]
CORPUS = TESTS / "corpus"
MADE = WORK.parent / "made"
sys.path.insert(0, str(CORPUS))


def measured(command: list, paths: list[str], log: Path) -> tuple[float, float]:
    """CPU seconds and peak MB of the process tree; its output goes to `log`."""
    before, peak = resource.getrusage(resource.RUSAGE_CHILDREN), 0.0
    with log.open("wb") as out, tempfile.TemporaryFile() as given:
        given.write("\n".join(paths).encode())
        given.seek(0)
        process = subprocess.Popen(list(map(str, command)), stdin=given, stdout=out, stderr=subprocess.DEVNULL)
        while process.poll() is None:
            peak = max(peak, pss_bytes(process.pid) / 1e6)
            time.sleep(0.05)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, peak


def run_hubgate(paths: list[str]) -> tuple[dict[str, Answer], float]:
    """What hubgate says of each path, and CPU seconds of the whole run.

    What a maker of benign files writes is given as the folder that it is: weights that an ONNX file
    beside them describes are clean there, and opaque alone.
    """
    log = WORK / "hubgate.jsonl"
    worst, first_in = {path: "quiet" for path in paths}, {}
    for path in paths:
        if Path(path).is_relative_to(MADE):
            first_in.setdefault(str(MADE / Path(path).relative_to(MADE).parts[0]), path)
    given = [path for path in paths if not Path(path).is_relative_to(MADE)] + list(first_in)
    cpu, peak = measured(["xargs", "-d", "\n", "-n", "5000", HUBGATE, "scan", "--format", "jsonl"], given, log)
    order = ["quiet", "error", "flagged"]
    for line in log.read_text().splitlines():
        item = json.loads(line)
        path = first_in.get(item["path"], item["path"])
        while path not in worst and len(path) > 1:  # in a folder that was given: it is one repository
            path = os.path.dirname(path)
        if path not in worst:
            continue  # made, but not in the sample
        answer = {"malicious": "flagged", "suspicious": "flagged", "inconclusive": "error"}.get(item["verdict"], "quiet")
        worst[path] = max(worst[path], answer, key=order.index)
    return {path: Answer(answer, 0.0, peak) for path, answer in worst.items()}, cpu


def ledger_samples(out: Path) -> tuple[set[str], set[str]]:
    """Paths of attacks that deserve more than a note, and of near misses."""
    from fixtures.registry import write_all
    with (TESTS / "techniques/ledger.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["fixture"] and not row["note"].startswith("limit:")]
    attacks = {row["fixture"] for row in rows if row["verdict"] in ("malicious", "suspicious")}
    near = {row["near_miss"] for row in rows} - attacks
    write_all(out, attacks | near)
    return {str(out / name) for name in attacks}, {str(out / name) for name in near}


def made_samples() -> Path:
    """What the real libraries of the benign corpus write, kept until a maker changes."""
    makers = sorted(CORPUS.glob("make_*.py"))
    wanted = hashlib.sha256(b"".join(maker.read_bytes() for maker in makers)).hexdigest()
    stamp = MADE.with_suffix(".stamp")
    if stamp.exists() and stamp.read_text() == wanted:
        return MADE
    shutil.rmtree(MADE, ignore_errors=True)
    from environments import python_for
    for maker in makers:
        folder = MADE / maker.stem
        folder.mkdir(parents=True)
        subprocess.run(["nice", "-n", "15", python_for(maker.name), maker, folder], capture_output=True, check=True)
    stamp.write_text(wanted)
    return MADE


def benign_samples(count: int) -> set[str]:
    """`count` files of the collected corpus and a quarter as many that the makers write, evenly chosen."""
    from collect import collected

    def some(root: Path, most: int) -> list[Path]:
        files = sorted(path for path in root.rglob("*") if path.is_file())
        return files[::max(1, len(files) // most)]
    return {str(path) for path in some(collected(), count) + some(made_samples(), max(1, count // 4))}


def assets_of_modelaudit() -> Path:
    """The test assets in its source package, unpacked below the work folder."""
    out = HOME / "assets"
    if not (out / "done").exists():
        out.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:", "--require-hashes",
                        "-d", out, "-r", HERE / "assets.txt"], check=True)
        with tarfile.open(next(out.glob("*.tar.gz"))) as archive:
            members = [member for member in archive if "/tests/assets/" in member.name]
            archive.extractall(out, members, filter="data")
        (out / "done").touch()
    return next(out.glob("*/tests/assets"))


def unexplained(differences: list[tuple[str, str, str, str]]) -> list[tuple[str, str, str, str]]:
    """Those (sample, peer, hubgate's answer, the peer's) that peers/differences.csv does not argue."""
    with (HERE / "differences.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [item for item in differences
            if not any(fnmatch.fnmatch(item[0], row["sample"]) and item[1:] == (row["peer"], row["hubgate"], row["theirs"]) for row in rows)]


def show(title: str, differences: list[tuple[str, str, str, str]]) -> bool:
    left = unexplained(differences)
    print(f"\n{title}: {len(differences)}, {len(left)} of them unexplained")
    for item in left:
        print("  " + ",".join(item) + ",")
    return not left


def compare_assets(every: int) -> bool:
    root = assets_of_modelaudit()
    paths = sorted(str(path) for path in root.rglob("*") if path.is_file() and path.suffix not in (".py", ".md"))[::every]
    ours, _ = run_hubgate(paths)
    theirs, _ = ask("modelaudit", paths)
    return show(f"modelaudit's own test assets, {len(paths)} files; judged differently",
                [(str(Path(path).relative_to(root)), "modelaudit", ours[path].answer, theirs[path].answer) for path in paths
                 if ours[path].answer != theirs[path].answer])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1, help="take every Nth sample only")
    parser.add_argument("--benign", type=int, default=1000, help="how many files of the collected corpus, and a quarter as many that the makers write")
    parser.add_argument("--only", nargs="*", default=PEERS, choices=PEERS)
    parser.add_argument("--out", type=Path, help="answers for each sample, as CSV")
    parser.add_argument("--assets", action="store_true", help="only the comparison of modelaudit's test assets")
    arguments = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    if arguments.assets:
        return 0 if compare_assets(arguments.every) else 1
    with tempfile.TemporaryDirectory(dir=WORK) as folder:
        groups = dict(zip(("attacks", "near"), ledger_samples(Path(folder))))
        groups["benign"] = benign_samples(arguments.benign) if arguments.benign else set()
        groups = {name: sorted(paths)[::arguments.every] for name, paths in groups.items()}
        paths = [path for group in groups.values() for path in group]
        answers = {"hubgate": run_hubgate(paths)}
        for peer in arguments.only:
            answers[peer] = ask(peer, paths)

        def count(found: dict[str, Answer], group: str, answer: str) -> int:
            return sum(found[path].answer == answer for path in groups[group])
        rows = [[name, *(count(found, "attacks", answer) for answer in ("flagged", "quiet", "error")),
                 *(count(found, group, answer) for group in ("near", "benign") for answer in ("flagged", "error")),
                 f"{start + sum(item.cpu for item in found.values()):.1f}", f"{max(item.peak for item in found.values()):.0f}"]
                for name, (found, start) in answers.items()]
        table(f"{len(groups['attacks'])} attacks, {len(groups['near'])} near misses, {len(groups['benign'])} files of real libraries and packages",
              ["", "flagged", "missed", "error", "near: alarm", "near: error", "real: alarm", "real: error", "CPU s", "peak MB"], rows)
        if arguments.out:
            with arguments.out.open("w", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(["sample", "group", *answers])
                for name, group in groups.items():
                    for path in group:
                        writer.writerow([Path(path).relative_to(folder) if path.startswith(folder) else path, name,
                                         *(found[path].answer for found, _ in answers.values())])
        ours = answers["hubgate"][0]
        good = show("attacks that a peer flags and hubgate does not",
                    [(Path(path).name, peer, ours[path].answer, "flagged") for peer in arguments.only for path in groups["attacks"]
                     if answers[peer][0][path].answer == "flagged" and ours[path].answer != "flagged"])
        wrong = [f"MISS {Path(path).name}" for path in groups["attacks"] if ours[path].answer == "quiet"]
        wrong += [f"ALARM {path}: {ours[path].answer}" for path in groups["near"] if ours[path].answer != "quiet"]
        with (CORPUS / "exceptions.csv").open(newline="") as file:
            argued = [row["path"] for row in csv.DictReader(file)]
        wrong += [f"ALARM {path}: {ours[path].answer}" for path in groups["benign"] if ours[path].answer != "quiet"
                  and not any(fnmatch.fnmatch(path, f"*/collected/{pattern}") for pattern in argued)]
        for line in wrong:
            print("  " + line)
    good &= not wrong
    if "modelaudit" in arguments.only:
        good &= compare_assets(arguments.every)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
