"""peers.py [--every N] [--only NAME...] [--out FILE.csv] [--collected DIR] [--assets]: hubgate beside other scanners.

Installs picklescan, modelscan, fickling and modelaudit, each in an environment of its own
(peers/NAME.txt, pinned with hashes), and runs all over the project's corpus: attack fixtures and near
misses of the ledger, what the benign makers write, and a collected corpus if there is one. One table:
flagged, missed, false alarms, errors, CPU seconds, memory. An attack that is inconclusive is no miss
(the policy holds it), but it is not flagged either; a peer's error counts likewise. Peers run through
their own entry point in one process, so their start-up is counted once; hubgate is one run of the
program, its workers counted.

Then hubgate over the test assets that modelaudit publishes, beside modelaudit itself: each
difference must be explained in peers/differences.csv. Exits 1 if one is not, or if hubgate misses an
attack or raises a false alarm.
"""
from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

from measure import HUBGATE, TESTS, WORK, pss_bytes, table

HERE = Path(__file__).resolve().parent / "peers"
HOME = WORK.parent / "peers"
PEERS = ["picklescan", "modelscan", "fickling", "modelaudit"]
# No peer asks anybody on the network.
QUIET = {"DO_NOT_TRACK": "1", "NO_ANALYTICS": "1", "PROMPTFOO_DISABLE_TELEMETRY": "1", "HF_HUB_OFFLINE": "1"}
CORPUS = TESTS / "corpus"


def python_of(peer: str) -> Path:
    """The peer's environment, made when its pins have changed."""
    venv, pins = HOME / peer, (HERE / f"{peer}.txt").read_text()
    stamp = venv / "pins.txt"
    if not stamp.exists() or stamp.read_text() != pins:
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        subprocess.run([venv / "bin/pip", "install", "-q", "--no-deps", "--require-hashes", "-r", HERE / f"{peer}.txt"], check=True)
        stamp.write_text(pins)
    return venv / "bin/python"


def measured(command: list, paths: list[str], log: Path, environment: dict) -> tuple[float, float]:
    """CPU seconds and peak MB of the process tree; its output goes to `log`."""
    before, peak = resource.getrusage(resource.RUSAGE_CHILDREN), 0.0
    with log.open("wb") as out, tempfile.TemporaryFile() as given:
        given.write("\n".join(paths).encode())
        given.seek(0)
        process = subprocess.Popen(list(map(str, command)), stdin=given, stdout=out, stderr=subprocess.DEVNULL, env=environment)
        while process.poll() is None:
            peak = max(peak, pss_bytes(process.pid) / 1e6)
            time.sleep(0.05)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, peak


def run_peer(peer: str, paths: list[str]) -> tuple[dict, float, float]:
    log = WORK / f"{peer}.jsonl"
    home = WORK / "peer-home"
    home.mkdir(parents=True, exist_ok=True)
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), **QUIET}
    cpu, peak = measured([python_of(peer), HERE / "driver.py", peer], paths, log, environment)
    found = {}
    for line in log.read_text().splitlines():
        item = json.loads(line)
        found[item["path"]] = "flagged" if item["flagged"] else "error" if item["error"] else "quiet"
    return found, cpu, peak


def run_hubgate(paths: list[str]) -> tuple[dict, float, float]:
    log = WORK / "hubgate.jsonl"
    found = {path: "quiet" for path in paths}
    cpu, peak = measured(["xargs", "-d", "\n", "-n", "5000", HUBGATE, "scan", "--format", "jsonl"], paths, log, dict(os.environ))
    order = ["quiet", "error", "flagged"]
    folders = sorted((path for path in paths if os.path.isdir(path)), key=len, reverse=True)
    for line in log.read_text().splitlines():
        item = json.loads(line)
        path = item["path"]
        if path not in found:
            path = next(folder for folder in folders if path.startswith(folder + "/"))
        answer = {"malicious": "flagged", "suspicious": "flagged", "inconclusive": "error"}.get(item["verdict"], "quiet")
        found[path] = max(found[path], answer, key=order.index)
    return found, cpu, peak


def ledger_samples(out: Path) -> tuple[set[str], set[str]]:
    """Paths of attacks that deserve more than a note, and of near misses."""
    from fixtures.registry import write_all
    with (TESTS / "techniques/ledger.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["fixture"] and not row["note"].startswith("limit:")]
    attacks = {row["fixture"] for row in rows if row["verdict"] in ("malicious", "suspicious")}
    near = {row["near_miss"] for row in rows} - attacks
    write_all(out, attacks | near)
    return {str(out / name) for name in attacks}, {str(out / name) for name in near}


def benign_samples(out: Path, collected: Path | None) -> set[str]:
    """What the real libraries of the benign corpus write, when they are installed; collected files."""
    found = set()
    libraries = WORK.parent / "corpus-venv/bin/python"
    for maker in sorted(CORPUS.glob("make_*.py")):
        python = Path("/usr/bin/python3") if maker.name == "make_torch.py" else libraries
        folder = out / maker.stem
        folder.mkdir(parents=True, exist_ok=True)
        if python.exists() and subprocess.run([python, maker, folder], capture_output=True, check=False).returncode == 0:
            found |= {str(path) for path in folder.rglob("*") if path.is_file()}
        else:
            print(f"  {maker.name} was left out: its libraries are not installed (run tests/corpus first)")
    if collected and collected.is_dir():
        found |= {str(path) for path in collected.rglob("*") if path.is_file()}
    return found


def row(name: str, found: dict, attacks: set[str], clean: set[str], cpu: float, peak: float) -> list:
    def count(paths, answer):
        return sum(found.get(path, "error") == answer for path in paths)
    return [name, count(attacks, "flagged"), count(attacks, "quiet"), count(attacks, "error"),
            count(clean, "flagged"), count(clean, "error"), f"{cpu:.1f}", f"{peak:.0f}"]


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


def compare_assets(every: int) -> bool:
    root = assets_of_modelaudit()
    paths = sorted(str(path) for path in root.rglob("*") if path.is_file() and path.suffix not in (".py", ".md"))[::every]
    ours, _, _ = run_hubgate(paths)
    theirs, _, _ = run_peer("modelaudit", paths)
    with (HERE / "differences.csv").open(newline="") as file:
        explained = {(item["asset"], item["hubgate"], item["modelaudit"]) for item in csv.DictReader(file)}
    differences = [(str(Path(path).relative_to(root)), ours[path], theirs.get(path, "error")) for path in paths
                   if ours[path] != theirs.get(path, "error")]
    unexplained = [item for item in differences if item not in explained]
    print(f"\nmodelaudit's own test assets: {len(paths)} files, {len(differences)} judged differently, {len(unexplained)} of them unexplained")
    for item in unexplained:
        print("  " + ",".join(item) + ",")
    return not unexplained


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1, help="take every Nth sample only")
    parser.add_argument("--only", nargs="*", default=PEERS, choices=PEERS)
    parser.add_argument("--out", type=Path, help="answers for each sample, as CSV")
    parser.add_argument("--collected", type=Path, default=WORK.parent / "collected")
    parser.add_argument("--assets", action="store_true", help="only the comparison of modelaudit's test assets")
    arguments = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    if arguments.assets:
        return 0 if compare_assets(arguments.every) else 1
    with tempfile.TemporaryDirectory(dir=WORK) as folder:
        attacks, near = ledger_samples(Path(folder) / "ledger")
        clean = near | benign_samples(Path(folder) / "benign", arguments.collected)
        attacks, clean = (set(sorted(paths)[::arguments.every]) for paths in (attacks, clean))
        paths = sorted(attacks | clean)
        answers = {"hubgate": run_hubgate(paths)}
        for peer in arguments.only:
            answers[peer] = run_peer(peer, paths)
        rows = [row(name, found, attacks, clean, cpu, peak) for name, (found, cpu, peak) in answers.items()]
        table(f"{len(attacks)} attacks, {len(clean)} clean samples",
              ["", "flagged", "missed", "error", "false alarms", "clean: error", "CPU s", "peak MB"], rows)
        if arguments.out:
            with arguments.out.open("w", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(["sample", "attack", *answers])
                for path in paths:
                    writer.writerow([Path(path).relative_to(folder) if path.startswith(folder) else path, path in attacks,
                                     *(found.get(path, "error") for found, _, _ in answers.values())])
        ours = answers["hubgate"][0]
        for path in sorted(attacks):
            if ours[path] == "quiet":
                print(f"  MISS {Path(path).name}")
        for path in sorted(clean):
            if ours[path] != "quiet":
                print(f"  ALARM {Path(path).name}: {ours[path]}")
    good = rows[0][2] == 0 and rows[0][4] == 0 and rows[0][5] == 0
    if "modelaudit" in arguments.only:
        good &= compare_assets(arguments.every)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
