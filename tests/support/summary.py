"""summary.py RESULTS: adds up ctest's and pytest's JUnit files and the single checks.

Prints each failure and "N passed, N failed" alone on the last line; exits 1 on any failure and
when nothing ran.
"""
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

results = Path(sys.argv[1])
passed, failures = 0, []
for file in sorted(results.glob("*.xml")):
    for case in ElementTree.parse(file).iter("testcase"):
        bad = [child.tag for child in case if child.tag in ("failure", "error")]
        not_run = case.get("status") in ("notrun", "disabled") or any(child.tag == "skipped" for child in case)
        if bad or not_run:
            failures.append(f"{file.stem}: {case.get('classname', '')} {case.get('name')}" + (" (not run)" if not_run else ""))
        else:
            passed += 1
checks = results / "checks"
for line in checks.read_text().splitlines() if checks.exists() else []:
    if line == "passed":
        passed += 1
    else:
        failures.append("a check above")
for failure in failures:
    print(f"failed: {failure}")
print(f"{passed} passed, {len(failures)} failed")
sys.exit(1 if failures or not passed else 0)
