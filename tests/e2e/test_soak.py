"""The small soak; tests/bench/soak.py is the whole one."""
import re

import pytest

from gate import free_port
from mixed_load import CONFIG, MixedLoad, metric, open_files


@pytest.mark.parametrize("cache", ["", "cache: {}\n"], ids=["", "cache"])
def test_mixed_requests_with_faults(make_gate, hub, samples, cache):
    proxy = free_port()
    gate = make_gate("--proxy", f"127.0.0.1:{proxy}", config=f"{CONFIG}{cache}icap: 127.0.0.1:{free_port()}\n")
    icap = int(re.search(r"icap://127.0.0.1:(\d+)/", gate.log.read_text())[1])
    load = MixedLoad(gate, hub, samples, icap, proxy)
    load.run(150)
    assert load.settle() == {}, "what never ends"
    before = open_files(gate)
    load.run(600)
    assert load.settle() == {}, "what never ends"
    assert load.wrong == []
    assert open_files(gate) <= before + 4
    assert metric(gate, "scans_failed_total") > 0, "the faults met nothing"
    assert gate.process.poll() is None
