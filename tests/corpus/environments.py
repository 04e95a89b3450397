"""The environments of the libraries that the makers of benign files import, below tests/.work."""
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
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


ENVIRONMENTS = {"make_tables.py": "tables", "make_pictures.py": "pictures"}


def python_for(maker: str) -> Path:
    """Python that has what a maker of benign files imports."""
    if maker == "make_torch.py":  # torch is Debian's: its wheels are gigabytes
        return Path("/usr/bin/python3")
    name = ENVIRONMENTS.get(maker)
    return environment(name, f"requirements-{name}.txt") if name else environment("corpus", "requirements.txt")
