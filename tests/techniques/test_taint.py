"""Pairs of tests/fixtures/taint.py: the class of the behaviour, and the path from source to sink."""
import ast
import base64
import json
import marshal
import re
import subprocess
import sys
import warnings
from pathlib import Path

from test_ledger import HUBGATE, ROOT, fired, scanned, worst  # noqa: F401 (scanned is a fixture)

from fixtures.registry import FIXTURES, load_families
from fixtures.taint import CARRIED, MODELS, ROWS

CLASS = {"python-remote-control": "remote-control", "python-theft": "theft", "python-beacon": "reconnaissance",
         "python-reconnaissance": "reconnaissance", "python-persistence": "persistence",
         "python-destruction": "destruction", "python-propagation": "propagation",
         "python-proof-of-concept": "proof-of-concept", "python-hidden-source": "deception",
         "pickle-dangerous-call": "dangerous-call", "behaviour-perl-socket-shell": "remote-control"}


def test_pairs_show_behaviour_and_path(scanned):
    load_families()
    assert len(ROWS) > 300
    shown = 0
    for name, near, _, rule in ROWS:
        found = [finding for report in scanned[name] for finding in report["findings"] if finding["rule"] == rule]
        assert found, (name, rule, scanned[name])
        assert all(finding["class"] == CLASS.get(rule, "execution") for finding in found), (name, found)
        shown += any(re.search(r"line \d+: ", finding["evidence"]) for finding in found)
        assert not fired(scanned[near], rule), (near, scanned[near])
        assert worst(scanned[near]) in ("clean", "informational"), (near, scanned[near])
    assert shown > 300


def behaviour(reports):
    """Rules about what code does."""
    return {finding["rule"]: finding for report in reports for finding in report["findings"]
            if finding["severity"] != "informational" and finding["rule"].startswith(("python-", "behaviour-", "shell-", "powershell-"))}


def test_models_show_behaviour_and_path(scanned):
    load_families()
    for suffix in (".keras", ".h5", "_saved_model"):
        assert len([row for row in MODELS if row[0].endswith("_model" + suffix)]) > 300
    shown = 0
    for name, near, _, rule in MODELS:
        found = [finding for report in scanned[name] for finding in report["findings"] if finding["rule"] == rule]
        assert found, (name, rule, scanned[name])
        assert all(finding["class"] == CLASS.get(rule, "execution") and finding["reach"] == "load" for finding in found), (name, found)
        shown += any(re.search(r"line \d+: ", finding["evidence"]) for finding in found)
        # A Lambda is called one; what it does is nothing.
        assert not behaviour(scanned[near]), (near, scanned[near])
        assert fired(scanned[near], "keras-lambda"), near
        assert all(report["status"] == "complete" for report in scanned[name] + scanned[near]), (name, scanned[name], scanned[near])
    assert shown > 900


def test_code_that_carriers_name_as_code(scanned):
    """Modules of torch.package, handlers of TorchServe, cells of notebooks go through the same analysis."""
    load_families()
    assert len(CARRIED) > 900
    for name, near, _, rule in CARRIED:
        assert fired(scanned[name], rule), (name, rule, scanned[name])
        assert not behaviour(scanned[near]), (near, scanned[near])


def function_of(source: str):
    """What this interpreter's compiler makes of a module's text as the body of a function; nothing is run."""
    module = ast.parse("def f(x):\n return x")
    body = ast.parse(source).body
    if any(isinstance(node, ast.ImportFrom) and node.names[0].name == "*" for part in body for node in ast.walk(part)):
        return None
    module.body[0].body = body + module.body[0].body
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        code = compile(ast.fix_missing_locations(module), "model.py", "exec", dont_inherit=True)
    return next(constant for constant in code.co_consts if hasattr(constant, "co_code"))


def test_the_bytecode_of_a_real_compiler_shows_the_same(tmp_path):
    """The same pairs with local variables, closures, comprehensions and handlers of exceptions as CPython has them."""
    from fixtures.families.ker import keras, layer, sequential
    from fixtures.families.taint_models import INSTEAD, ONLY_SCRIPTS, SOURCE_ONLY
    load_families()
    expected = {}
    for name, near, _, rule in [row for row in ROWS if row[0].endswith(".py") and not row[0].startswith("taint_dataset_")]:
        stem = name.removesuffix(".py")
        for kind, fixture in (("evil", name), ("twin", near)):
            code = function_of(FIXTURES[fixture]().decode())
            if code is None or stem in SOURCE_ONLY or (kind == "twin" and stem in ONLY_SCRIPTS):
                continue
            config = {"code": base64.encodebytes(marshal.dumps(code)).decode(), "defaults": None, "closure": None}
            path = tmp_path / f"{stem}_{kind}.keras"
            path.write_bytes(keras(sequential(layer("Lambda", {"function": {"class_name": "__lambda__", "config": config}, "arguments": {}}))))
            expected[path.name] = (stem, kind, INSTEAD.get(stem, rule))
    run = subprocess.run([HUBGATE, "scan", "--format", "jsonl", tmp_path], capture_output=True, text=True, check=False)
    reports = {Path(report["path"]).name: report for report in map(json.loads, run.stdout.splitlines()) if "findings" in report}
    exact = 0
    for name, (stem, kind, rule) in expected.items():
        found = behaviour([reports[name]])
        assert reports[name]["status"] == "complete", reports[name]
        if kind == "twin":
            assert not found, (name, found)
            continue
        exact += rule in found
        # A compiler folds "ex" + "ec", and then nothing is hidden any more.
        assert found or rule in ("python-hidden-call", "python-hidden-code", "pickle-dangerous-call"), (name, rule, reports[name])
    assert exact > 310, (exact, sys.version)
