"""Every pickle fixture, not only those of the ledger: none passes unseen, no near miss is held up."""
import re

import pytest

from test_ledger import FIXTURES, ORDER, load_families, scanned, worst  # noqa: F401  (scanned is a pytest fixture)

load_families()
PICKLES = [name for name in sorted(FIXTURES) if name.startswith("pkl_")]
QUIET = re.compile(r"pkl_(015|020|064)_|pkl_066_training_arguments_push")  # informational by the catalogue


@pytest.mark.parametrize("name", [name for name in PICKLES if "_near." not in name])
def test_attack_is_seen(name, scanned):  # noqa: F811
    wanted = "informational" if QUIET.match(name) else "inconclusive" if name == "pkl_019_no_stop.pkl" else "suspicious"
    assert ORDER.index(worst(scanned[name])) >= ORDER.index(wanted), scanned[name]


@pytest.mark.parametrize("name", [name for name in PICKLES if "_near." in name])
def test_near_miss_passes(name, scanned):  # noqa: F811
    assert worst(scanned[name]) in ("clean", "informational"), scanned[name]
