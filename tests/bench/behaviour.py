"""behaviour.py [--files N] [--only NAME...] [--out FILE.csv]: recall and false alarms on code, beside other scanners.

Malicious: the fixtures of the ledger that a rule about what code does (python-*, shell-*, behaviour-*)
catches: scripts, and models that carry code. Their near misses are the benign twins. Real: the code of
the collected corpus (transformers, datasets 1.18.4 and 2.14.7 with their loading scripts, seacrowd,
scikit-learn, huggingface_hub, and forty more packages); every scanner reads the same N files of it,
evenly chosen, and hubgate reads all of it besides.

hubgate's alarms are what it calls malicious or suspicious; bandit's are issues of high severity and at
least medium confidence; guarddog's are scores that it calls suspicious or high risk, a file being a
package (its rules on registry metadata have nothing to read here); modelaudit's are warnings and worse.
others.py says how they run. Exits 1 if hubgate misses a fixture, alarms on a twin, calls real code
malicious, calls one of 500 files suspicious, or reads less than 3 MB of Python a second and core.
"""
from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
from pathlib import Path

from measure import TESTS, WORK, table, verdict
from others import ask
from peers import CORPUS, run_hubgate

PEERS = ["modelaudit", "picklescan", "bandit", "guarddog"]
SCRIPTS = {".py", ".sh", ".ps1", ".bat", ".cmd", ".ipynb", ".pth", ".js", ".vbs"}
BEHAVIOUR = ("python-", "shell-", "behaviour-", "powershell-", "batch-")


def behaviour_samples(out: Path) -> tuple[set[str], set[str]]:
    """Paths of fixtures that a behaviour rule catches, and of their near misses."""
    from fixtures.registry import write_all
    with (TESTS / "techniques/ledger.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["fixture"] and row["rule"].startswith(BEHAVIOUR) and not row["note"].startswith("limit:")
                and row["verdict"] in ("malicious", "suspicious")]
    malicious = {row["fixture"] for row in rows}
    twins = {row["near_miss"] for row in rows} - malicious
    write_all(out, malicious | twins)
    return {str(out / name) for name in malicious}, {str(out / name) for name in twins}


def real_code() -> list[str]:
    sys.path.insert(0, str(CORPUS))
    from collect import collected
    return sorted(str(path) for path in collected().rglob("*") if path.suffix in (".py", ".ipynb") and path.is_file())


def is_script(path: str) -> bool:
    """A folder is one if nothing but scripts and texts lies in it."""
    found = [one for one in Path(path).rglob("*") if one.is_file()] if Path(path).is_dir() else [Path(path)]
    return all(one.suffix in SCRIPTS | {".md", ".txt", ".json", ".yaml", ".toml", ".cfg"} for one in found)


def verdicts_of_last_run() -> dict[str, list[dict]]:
    reports: dict[str, list[dict]] = {}
    for line in (WORK / "hubgate.jsonl").read_text().splitlines():
        report = json.loads(line)
        reports.setdefault(report["verdict"], []).append(report)
    return reports


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=2000, help="how many files of real code every scanner reads")
    parser.add_argument("--only", nargs="*", default=PEERS, choices=PEERS)
    parser.add_argument("--out", type=Path, help="answers for each sample, as CSV")
    arguments = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=WORK) as folder:
        malicious, twins = (sorted(paths) for paths in behaviour_samples(Path(folder)))
        every = real_code()
        real = every[::max(1, len(every) // arguments.files)]
        megabytes = {name: sum(Path(path).stat().st_size for path in paths) / 1e6 for name, paths in (("real", real), ("every", every))}
        groups = {"scripts": [path for path in malicious if is_script(path)], "carriers": [path for path in malicious if not is_script(path)],
                  "twins": twins, "real": real}
        answers, speed = {}, {}
        ours, fixture_cpu = run_hubgate([*malicious, *twins])
        found, cpu = run_hubgate(real)
        answers["hubgate"], speed["hubgate"] = ours | found, (fixture_cpu + cpu, megabytes["real"] / cpu)
        for peer in arguments.only:
            found, start = ask(peer, [*malicious, *twins, *real])
            cpu = sum(found[path].cpu for path in real)
            answers[peer], speed[peer] = found, (start + sum(item.cpu for item in found.values()), megabytes["real"] / max(cpu, 0.001))

        def count(name: str, group: str, answer: str = "flagged") -> int:
            return sum(answers[name][path].answer == answer for path in groups[group])
        rows = [[name, *(f"{count(name, group)} ({100 * count(name, group) / max(1, len(groups[group])):.0f} %)" for group in ("scripts", "carriers", "twins", "real")),
                 f"{500 * count(name, 'real') / len(real):.2f}", count(name, "real", "error"), f"{speed[name][0]:.1f}", f"{speed[name][1]:.2f}"] for name in answers]
        table(f"{len(groups['scripts'])} malicious scripts, {len(groups['carriers'])} models that carry code, {len(twins)} benign twins, "
              f"{len(real)} files of real code ({megabytes['real']:.1f} MB)",
              ["", "scripts caught", "carriers caught", "twins alarmed", "real alarmed", "alarms / 500 real", "real: error", "CPU s", "MB / CPU s of real code"], rows)
        if arguments.out:
            with arguments.out.open("w", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(["sample", "group", *answers])
                for name, group in groups.items():
                    for path in group:
                        writer.writerow([Path(path).relative_to(folder) if path.startswith(folder) else path, name, *(found[path].answer for found in answers.values())])
        wrong = [f"MISS {Path(path).name}" for path in malicious if ours[path].answer != "flagged"]
        wrong += [f"ALARM {Path(path).name}: {ours[path].answer}" for path in twins if ours[path].answer != "quiet"]
        for line in wrong:
            print("  " + line)
        good = not wrong
        _, cpu = run_hubgate(every)
        reports = verdicts_of_last_run()
        print(f"\nhubgate over all of the real code: {len(every)} files, {megabytes['every']:.1f} MB, {cpu:.1f} CPU s")
        for kind in ("malicious", "suspicious", "inconclusive"):
            for report in reports.get(kind, []):
                rules = sorted({finding["rule"] for finding in report["findings"] if finding["severity"] != "informational"} | set(report["reasons"]))
                print(f"  {kind} {report['path'].partition('/collected/')[2]}: {', '.join(rules)}")
        good &= verdict("malicious files of real code", len(reports.get("malicious", [])), 0)
        good &= verdict("suspicious files of real code in 500", 500 * len(reports.get("suspicious", [])) / len(every), 1)
        good &= verdict("MB of Python a CPU second", megabytes["every"] / cpu, 3, at_most=False)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
