import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "e2e")]
WORK = HERE.parent / ".work"


def environment(name: str, pins: str) -> Path:
    """Python of a folder that has the libraries of the file `pins`."""
    venv, stamp = WORK / f"{name}-venv", WORK / f"{name}.stamp"
    wanted = (HERE / pins).read_text()
    if not stamp.exists() or stamp.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", venv], check=True)
        subprocess.run([venv / "bin/pip", "install", "-q", "--no-deps", "--require-hashes", "-r", HERE / pins], check=True)
        stamp.write_text(wanted)
    return venv / "bin/python"


@pytest.fixture(scope="session")
def libraries():
    return environment("corpus", "requirements.txt")


@pytest.fixture(scope="session")
def pictures():
    return environment("pictures", "requirements-pictures.txt")


@pytest.fixture(scope="session")
def tables():
    return environment("tables", "requirements-tables.txt")
