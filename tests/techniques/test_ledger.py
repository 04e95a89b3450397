"""Every technique of the catalogue has a fixture that is caught and a near miss that is not."""
import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent))

from fixtures.registry import FIXTURES, load_families, write_all  # noqa: E402

HUBGATE = os.environ.get("HUBGATE", str(ROOT / "build/release/hubgate"))
ORDER = ["clean", "informational", "inconclusive", "suspicious", "malicious"]
SEVERITY = ["informational", "suspicious", "malicious"]


def rows():
    with open(HERE / "ledger.csv", newline="") as file:
        return list(csv.DictReader(file))


def catalogue():
    with open(HERE / "catalogue.csv", newline="") as file:
        return {row["id"]: row for row in csv.DictReader(file)}


def names_of_tests():
    """Every test function in tests/."""
    return {name for path in HERE.parent.rglob("test_*.py") if ".work" not in path.parts
            for name in re.findall(r"^def (test_\w+)\(", path.read_text(), re.M)}


@pytest.fixture(scope="session")
def scanned(tmp_path_factory):
    """fixture name -> list of JSON reports: one a file, and one of the files together for a directory."""
    out = tmp_path_factory.mktemp("fixtures")
    reports: dict[str, list] = {}
    paths = [str(path) for path in write_all(out)]
    for at in range(0, len(paths), 1000):  # each its own argument: a directory is one repository
        run = subprocess.run([HUBGATE, "scan", "--format", "jsonl", *paths[at:at + 1000]], capture_output=True, text=True,
                             check=False)
        assert run.returncode in (0, 1, 3), run.stderr
        for line in run.stdout.splitlines():
            report = json.loads(line)
            name = Path(report["path"]).resolve().relative_to(out.resolve()).parts[0]
            reports.setdefault(name, []).append(report)
    return reports


def fired(reports, rule):
    if rule.startswith("gap:"):
        return any(rule[4:] in report["reasons"] for report in reports)
    return any(finding["rule"] == rule for report in reports for finding in report["findings"])


def worst(reports):
    """The worst verdict, where informational findings count for themselves."""
    verdicts = [report["verdict"] for report in reports]
    if any(report["findings"] for report in reports):
        verdicts.append("informational")
    return max(verdicts, key=ORDER.index)


def test_every_technique_has_a_row():
    assert sorted(set(catalogue()) - {row["id"] for row in rows()}) == []


def test_ledger_names_only_what_exists():
    load_families()
    properties = names_of_tests()
    for row in rows():
        assert row["id"] in catalogue(), row
        if row["note"].startswith("limit:"):
            continue
        if row["note"].startswith("property:"):
            assert row["note"].removeprefix("property:").strip() in properties, row
            continue
        assert row["fixture"] in FIXTURES, row
        assert row["near_miss"] in FIXTURES, row


@pytest.mark.parametrize("row", rows(), ids=lambda row: f"{row['id']}-{row['fixture'] or row['note']}")
def test_technique(row, scanned):
    if row["note"].startswith(("limit:", "property:")):
        return
    caught = scanned[row["fixture"]]
    assert fired(caught, row["rule"]), (row, caught)
    assert ORDER.index(worst(caught)) >= ORDER.index(row["verdict"]), (row, caught)
    near = scanned[row["near_miss"]]
    assert not fired(near, row["rule"]), (row, near)
    assert worst(near) in ("clean", "informational"), (row, near)
