"""Pairs of tests/fixtures/taint.py: the class of the behaviour, and the path from source to sink."""
import re

from test_ledger import ROOT, fired, scanned, worst  # noqa: F401 (scanned is a fixture)

from fixtures.registry import load_families
from fixtures.taint import ROWS

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
