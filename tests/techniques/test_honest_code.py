"""The code of the libraries that the tests themselves use is quiet: a slice of tests/corpus for every run."""
import json
import os
import subprocess
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
HUBGATE = os.environ.get("HUBGATE", str(ROOT / "build/release/hubgate"))
# what Python brings itself; the rest is pinned in tests/clients/python
UNPINNED = {"pip", "setuptools", "pkg_resources", "_distutils_hack"}
EXCEPTIONS = {("pandas/tests/io/json/test_ujson.py", "gap:budget"): "nested on purpose: 1024 brackets in a row"}


def test_honest_code():
    packages = Path(sysconfig.get_path("purelib"))
    paths = [path for path in sorted(packages.rglob("*.py")) if path.relative_to(packages).parts[0] not in UNPINNED]
    assert len(paths) > 4000
    loud, used = [], set()
    done = subprocess.run(["xargs", "-0", "-n", "4000", HUBGATE, "scan", "--format", "jsonl"], input="\0".join(map(str, paths)),
                          capture_output=True, text=True, check=False)
    seen = 0
    for line in done.stdout.splitlines():
        report = json.loads(line)
        seen += 1
        name = str(Path(report["path"]).relative_to(packages))
        for complaint in [*(f["rule"] for f in report["findings"] if f["severity"] != "informational"), *(f"gap:{r}" for r in report["reasons"])]:
            used.add((name, complaint))
            if (name, complaint) not in EXCEPTIONS:
                loud.append(f"{complaint}: {name}")
    assert seen == len(paths), done.stderr
    assert loud == [], "\n".join(loud)
    assert used == set(EXCEPTIONS), "exceptions that nothing needs any more"
