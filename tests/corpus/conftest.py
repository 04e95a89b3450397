import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "e2e")]
WORK = HERE.parent / ".work"


@pytest.fixture(scope="session")
def libraries():
    """Python of a folder that has the libraries of requirements.txt."""
    venv, stamp = WORK / "corpus-venv", WORK / "corpus.stamp"
    pins = (HERE / "requirements.txt").read_text()
    if not stamp.exists() or stamp.read_text() != pins:
        subprocess.run([sys.executable, "-m", "venv", "--clear", venv], check=True)
        subprocess.run([venv / "bin/pip", "install", "-q", "--no-deps", "--require-hashes", "-r", HERE / "requirements.txt"], check=True)
        stamp.write_text(pins)
    return venv / "bin/python"
