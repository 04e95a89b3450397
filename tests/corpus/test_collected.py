"""Files of real packages are clean: nothing above informational, nothing inconclusive, but for exceptions argued by name."""
import csv
import fnmatch
import json
import re
import subprocess
from pathlib import Path

import pytest

from collect import collected
from gate import HUBGATE

HERE = Path(__file__).resolve().parent
BUILDER = re.compile(r"^class \w+\(.*(GeneratorBasedBuilder|ArrowBasedBuilder|BeamBasedBuilder|DatasetBuilder)", re.MULTILINE)


def exceptions():
    with open(HERE / "exceptions.csv", newline="") as file:
        return list(csv.DictReader(file))


def complaints(report):
    """What is loud in a report: rules above informational, and "gap:REASON"."""
    loud = {finding["rule"] for finding in report["findings"] if finding["severity"] != "informational"}
    return loud | {f"gap:{reason}" for reason in report["reasons"]}


def codes(root):
    """Paths below `root` that are code, and the text of each."""
    return {str(path.relative_to(root)): path.read_text(encoding="utf-8", errors="replace")
            for path in root.rglob("*") if path.suffix in (".py", ".ipynb") and path.is_file()}


@pytest.fixture(scope="module")
def scanned():
    """Where the corpus is, and the report of each file by its path in there."""
    root = collected().resolve()
    done = subprocess.run([HUBGATE, "scan", "--format", "jsonl", root], capture_output=True, text=True, check=False)
    reports = {}
    for line in done.stdout.splitlines():
        report = json.loads(line)
        path = Path(report["path"]).resolve()
        if path != root:  # the files together: packages side by side are no repository
            reports[str(path.relative_to(root))] = report
    return root, reports


def test_collected(scanned):
    root, reports = scanned
    assert len(reports) == sum(1 for path in root.rglob("*") if path.is_file()) >= 40_000
    rows, used, loud = exceptions(), set(), []
    for name, report in reports.items():
        for complaint in complaints(report):
            fitting = [i for i, row in enumerate(rows) if row["rule"] == complaint and fnmatch.fnmatch(name, row["path"])]
            used.update(fitting)
            if not fitting:
                loud.append(f"{complaint}: {name}")
    assert loud == [], "\n".join(loud)
    assert [row for i, row in enumerate(rows) if i not in used] == [], "exceptions that nothing needs any more"


def test_code(scanned):
    """No honest script is malicious, and fewer than one of 500 is suspicious."""
    root, reports = scanned
    texts = codes(root)
    for package, least in {"datasets-1.18.4": 900, "datasets-2.14.7": 250, "seacrowd-0.2.2": 400, "transformers-4": 1500,
                           "huggingface_hub-": 100, "scikit_learn-": 700, "": 15_000}.items():
        found = sum(name.startswith(package) for name in texts)
        assert found >= least, (package, found)
    builders = [name for name, text in texts.items() if name.startswith("datasets-1.18.4/") and BUILDER.search(text)]
    assert len(builders) > 700
    verdicts = {name: reports[name]["verdict"] for name in texts}
    assert [name for name, verdict in verdicts.items() if verdict == "malicious"] == []
    suspicious = [name for name, verdict in verdicts.items() if verdict == "suspicious"]
    assert len(suspicious) * 500 < len(texts), "\n".join(suspicious)
