"""Files that the real libraries write are clean: nothing above informational, nothing inconclusive."""
import json
import subprocess
from pathlib import Path

import pytest

from gate import HUBGATE

HERE = Path(__file__).resolve().parent
MAKERS = ["make_numpy.py", "make_sklearn.py", "make_estimators.py", "make_frames.py", "make_transformers.py", "make_boosting.py", "make_tensors.py", "make_torch.py", "make_tables.py", "make_configs.py", "make_gguf.py", "make_flax.py", "make_r.py", "make_tensorflow.py", "make_keras.py", "make_hdf5.py", "make_onnx.py", "make_misc_models.py", "make_pictures.py"]
ENVIRONMENTS = {"make_tables.py": "tables", "make_pictures.py": "pictures"}


@pytest.mark.parametrize("maker", MAKERS)
def test_benign(maker, request, tmp_path):
    # torch is Debian's: its wheels are gigabytes
    python = "/usr/bin/python3" if maker == "make_torch.py" else request.getfixturevalue(ENVIRONMENTS.get(maker, "libraries"))
    made = subprocess.run([python, HERE / maker, tmp_path], capture_output=True, text=True, check=False)
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
