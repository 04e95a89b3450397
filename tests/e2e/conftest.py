import itertools
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from clients import Clients  # noqa: E402
from gate import Gate  # noqa: E402
from hub.client import RunningHub  # noqa: E402
from hub.samples import datasets, models  # noqa: E402

counter = itertools.count()


@pytest.fixture(scope="session")
def samples():
    """Repository name (datasets/ in front of a dataset's) -> path -> bytes."""
    return {**models(), **{f"datasets/{name}": files for name, files in datasets().items()}}


@pytest.fixture(scope="session")
def running_hub(tmp_path_factory):
    hub = RunningHub(tmp_path_factory.mktemp("hub") / "root", "--page-size", "20")
    yield hub
    hub.stop()


@pytest.fixture
def hub(running_hub):
    """The sample hub, with no faults and an empty log."""
    running_hub.reset()
    yield running_hub
    running_hub.reset()


@pytest.fixture(scope="session")
def standing_gate(running_hub, tmp_path_factory):
    gate = Gate(tmp_path_factory.mktemp("gate"), running_hub.url)
    yield gate
    gate.stop()


@pytest.fixture
def gate(hub, standing_gate):
    """One gate for all tests that don't mind what others have pulled."""
    return standing_gate


@pytest.fixture
def make_gate(hub, tmp_path):
    """Starts gates of a test's own: empty data, own configuration."""
    gates = []

    def make(*options, upstream=None, **texts):
        made = Gate(tmp_path / f"gate{next(counter)}", upstream or hub.url, *options, **texts)
        gates.append(made)
        return made

    yield make
    for made in gates:
        made.stop()


@pytest.fixture
def fresh_gate(make_gate):
    return make_gate()


@pytest.fixture
def clients(gate, tmp_path):
    return Clients(gate.url, tmp_path / "home")


@pytest.fixture
def make_clients(tmp_path):
    def make(gate, **environment):
        return Clients(gate.url, tmp_path / f"home{next(counter)}", **environment)
    return make
