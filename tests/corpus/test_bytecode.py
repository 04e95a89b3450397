"""The interpreter's own library as bytecode: compile() turns each source into a .pyc (nothing is run), which must be
read in full and may show no behaviour that its source does not show."""
import importlib.util
import json
import marshal
import os
import subprocess
import sysconfig
import warnings
from pathlib import Path

import pytest

HUBGATE = os.environ.get("HUBGATE", str(Path(__file__).resolve().parents[2] / "build/release/hubgate"))


def scan(root):
    done = subprocess.run([HUBGATE, "scan", "--format", "jsonl", root], capture_output=True, text=True, check=False)
    return {Path(report["path"]): report for report in map(json.loads, done.stdout.splitlines()) if "findings" in report}


def behaviour(report):
    return {f["rule"] for f in report["findings"] if f["rule"].startswith("python-") and f["severity"] != "informational"}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """(report of a source, report of its bytecode)"""
    out = tmp_path_factory.mktemp("bytecode")
    library = Path(sysconfig.get_paths()["stdlib"])
    head = importlib.util.MAGIC_NUMBER + bytes(12)
    made = []
    for path in sorted(library.rglob("*.py")):
        # The library's tests hold broken pickles and archives on purpose, which are reported as such.
        if "packages" in path.relative_to(library).parts[0] or any("test" in part for part in path.relative_to(library).parts):
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                source = path.read_text(encoding="utf-8")
                code = compile(source, path.name, "exec", dont_inherit=True)
        except (SyntaxError, UnicodeError, ValueError):
            continue  # test data that is no Python on purpose
        name = "_".join(path.relative_to(library).with_suffix("").parts)
        (out / f"{name}.py").write_text(source, encoding="utf-8")
        (out / f"{name}.pyc").write_bytes(head + marshal.dumps(code))
        made.append(name)
    reports = scan(out)
    assert len(made) > 400
    return [(name, reports[out / f"{name}.py"], reports[out / f"{name}.pyc"]) for name in made]


def test_bytecode_is_read_in_full(pairs):
    assert [(name, report["reasons"]) for name, _, report in pairs if report["status"] != "complete"] == []


def test_bytecode_shows_no_more_than_its_source(pairs):
    assert [(name, more) for name, source, bytecode in pairs if (more := behaviour(bytecode) - behaviour(source))] == []
