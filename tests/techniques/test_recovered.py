"""Code that is recovered from bytecode is told apart by what it does: each payload has a twin that does the nearest
honest thing, in the same carrier, which no rule about behaviour reports."""
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent))

from fixtures.families.recovered import PAYLOADS  # noqa: E402
from fixtures.registry import write_all  # noqa: E402

HUBGATE = os.environ.get("HUBGATE", str(ROOT / "build/release/hubgate"))
BEHAVIOUR = {"remote-control", "theft", "reconnaissance", "execution", "persistence", "destruction", "propagation",
             "proof-of-concept"}


def behaviour(report):
    return [f for f in report["findings"] if f["rule"].startswith("python-") and f["severity"] != "informational"]


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    names = [f"ker_001_{kind}_{name}.keras" for name, _, _ in PAYLOADS for kind in ("code", "twin")]
    names += [f"cfg_021_{kind}_{name}.pyc" for name, _, _ in PAYLOADS for kind in ("code", "twin")]
    paths = [str(path) for path in write_all(tmp_path_factory.mktemp("recovered"), set(names))]
    run = subprocess.run([HUBGATE, "scan", "--format", "jsonl", *paths], capture_output=True, text=True, check=False)
    assert run.returncode in (0, 1, 3), run.stderr
    return {Path(report["path"]).name: report for report in map(json.loads, run.stdout.splitlines()) if "findings" in report}


@pytest.mark.parametrize("name", [name for name, _, _ in PAYLOADS])
def test_a_payload_has_a_behaviour_and_a_path(reports, name):
    found = behaviour(reports[f"ker_001_code_{name}.keras"])
    assert found, reports[f"ker_001_code_{name}.keras"]
    assert {f["class"] for f in found} <= BEHAVIOUR
    assert all("line " in f["evidence"] for f in found)


@pytest.mark.parametrize("name", [name for name, _, _ in PAYLOADS])
def test_its_twin_has_none(reports, name):
    for carrier in ("ker_001_twin_%s.keras", "cfg_021_twin_%s.pyc"):
        report = reports[carrier % name]
        assert behaviour(report) == []
        assert not {"unsupported", "budget"} & set(report["reasons"])
