"""Files that the real libraries write are clean: nothing above informational, nothing inconclusive."""
import json
import subprocess
from pathlib import Path

import pytest

from environments import python_for
from gate import HUBGATE

HERE = Path(__file__).resolve().parent
MAKERS = sorted(path.name for path in HERE.glob("make_*.py"))


@pytest.mark.parametrize("maker", MAKERS)
def test_benign(maker, tmp_path):
    made = subprocess.run([python_for(maker), HERE / maker, tmp_path], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 3
    done = subprocess.run([HUBGATE, "scan", "--format", "jsonl", tmp_path], capture_output=True, text=True, check=False)
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(reports) == len(files) + 1, done.stderr  # the last is of the files together
    loud = [{key: report[key] for key in ("path", "verdict", "reasons", "findings")} for report in reports
            if report["verdict"] != "clean" or report["status"] != "complete"
            or any(finding["severity"] != "informational" for finding in report["findings"])]
    assert loud == [], json.dumps(loud, indent=1)
    assert done.returncode == 0
