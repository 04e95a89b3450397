"""Files of real packages are clean: nothing above informational, nothing inconclusive, but for exceptions argued by name."""
import csv
import fnmatch
import json
import subprocess
from pathlib import Path

from collect import collect
from gate import HUBGATE

HERE = Path(__file__).resolve().parent


def exceptions():
    with open(HERE / "exceptions.csv", newline="") as file:
        return list(csv.DictReader(file))


def complaints(report):
    """What is loud in a report: rules above informational, and "gap:REASON"."""
    loud = {finding["rule"] for finding in report["findings"] if finding["severity"] != "informational"}
    return loud | {f"gap:{reason}" for reason in report["reasons"]}


def test_collected(tmp_path):
    assert collect(tmp_path) >= 2000
    done = subprocess.run([HUBGATE, "scan", "--format", "jsonl", tmp_path], capture_output=True, text=True, check=False)
    rows, used, loud = exceptions(), set(), []
    seen = 0
    for line in done.stdout.splitlines():
        report = json.loads(line)
        path = Path(report["path"]).resolve()
        if path == tmp_path.resolve():
            continue  # the files together: packages side by side are no repository
        seen += 1
        name = str(path.relative_to(tmp_path.resolve()))
        for complaint in complaints(report):
            fitting = [i for i, row in enumerate(rows) if row["rule"] == complaint and fnmatch.fnmatch(name, row["path"])]
            used.update(fitting)
            if not fitting:
                loud.append(f"{complaint}: {name}")
    assert seen >= 2000, done.stderr
    assert loud == [], "\n".join(loud)
    assert [row for i, row in enumerate(rows) if i not in used] == [], "exceptions that nothing needs any more"
