"""collect.py OUT: real files of real packages, for the test that none of them alarms.

Wheels and source archives come through pip, pinned by hash (collected-wheels.txt, collected-sources.txt,
and collected-code.txt, of which only the code is taken), and are unpacked; nothing of them is built or
run: pip wants metadata of a source archive before it keeps it, and asks a build backend, so every
backend is replaced by one that answers from PKG-INFO. `collected()` keeps one copy for tests and
benchmarks and makes it again when pins change.
"""
from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
KEPT = HERE.parent / ".work/collected"

# Native code belongs to no model repository; it is built for one machine and judged as what it is.
NATIVE = {".so", ".pyd", ".dll", ".dylib", ".exe", ".a", ".lib", ".o", ".obj"}

CODE = {".py", ".ipynb", ".sh", ".ps1", ".bat", ".pth"}

BACKEND = '''
import glob, os

def get_requires_for_build_wheel(config_settings=None):
    return []

def get_requires_for_build_sdist(config_settings=None):
    return []

def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    found = ["PKG-INFO"] + glob.glob("*.egg-info/PKG-INFO") + glob.glob("*/*.egg-info/PKG-INFO")
    text = open(next(path for path in found if os.path.exists(path)), encoding="utf-8").read()
    fields = dict(line.split(": ", 1) for line in text.split("\\n\\n")[0].splitlines() if line[:8] in ("Name: " + line[6:8], "Version:"))
    name = "%s-%s.dist-info" % (fields["Name"].replace("-", "_"), fields["Version"])
    os.makedirs(os.path.join(metadata_directory, name))
    with open(os.path.join(metadata_directory, name, "METADATA"), "w", encoding="utf-8") as out:
        out.write("Metadata-Version: 2.1\\nName: %s\\nVersion: %s\\n" % (fields["Name"], fields["Version"]))
    return name

def build_wheel(*args, **kwargs):
    raise SystemExit("nothing is built here")

build_sdist = build_wheel
'''
BACKENDS = ["setuptools/build_meta.py", "mesonpy/__init__.py", "hatchling/build.py", "maturin/__init__.py",
            "scikit_build_core/build/__init__.py", "flit_core/buildapi.py", "poetry/core/masonry/api.py"]


def write_backends(folder: Path) -> None:
    for name in BACKENDS:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        for parent in [path.parent, *path.parent.relative_to(folder).parents]:
            (folder / parent / "__init__.py").touch()
        path.write_text(BACKEND + "\nimport sys\n__legacy__ = sys.modules[__name__]\n")
    (folder / "__init__.py").unlink(missing_ok=True)


def download(pins: str, out: Path, *options: str, **environment: str) -> None:
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--require-hashes", "-d", out, "-r", HERE / pins, *options]
    subprocess.run(command, check=True, env=os.environ | environment)


def unpack(archive: Path, out: Path, only: set[str] | None = None) -> None:
    """Every regular file but native code, or those with a suffix of `only`. Names are checked: what leads out of `out` is an error."""
    out.mkdir(parents=True, exist_ok=True)
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as source:
            for item in source.infolist():
                suffix = Path(item.filename).suffix
                if not item.is_dir() and (suffix in only if only else suffix not in NATIVE):
                    source.extract(item, out)
        return
    with tarfile.open(archive) as source:
        for item in source:
            path = (out / item.name).resolve()
            if not item.isfile() or path.suffix in NATIVE:
                continue
            if out.resolve() not in path.parents:
                raise ValueError(f"{archive.name}: {item.name} leads out")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(source.extractfile(item).read())


def collect(out: Path) -> int:
    with tempfile.TemporaryDirectory() as folder:
        archives, code, backends = (Path(folder) / name for name in ("archives", "code", "backends"))
        write_backends(backends)
        download("collected-wheels.txt", archives, "--only-binary", ":all:")
        download("collected-code.txt", code, "--only-binary", ":all:")
        for pins in ("collected-sources.txt", "collected-sources-older.txt"):
            download(pins, archives, "--no-binary", ":all:", "--no-build-isolation", "--use-pep517", PYTHONPATH=str(backends))
        for archive in sorted([*archives.iterdir(), *code.iterdir()]):
            unpack(archive, out / archive.name.removesuffix(".whl").removesuffix(".tar.gz"), CODE if archive.parent == code else None)
    return sum(1 for path in out.rglob("*") if path.is_file())


def collected() -> Path:
    """The corpus below tests/.work, whole."""
    wanted = hashlib.sha256(b"".join(path.read_bytes() for path in [*sorted(HERE.glob("collected-*.txt")), HERE / "collect.py"])).hexdigest()
    stamp = KEPT.with_suffix(".stamp")
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(KEPT, ignore_errors=True)
        collect(KEPT)
        stamp.write_text(wanted)
    return KEPT


if __name__ == "__main__":
    print(collect(Path(sys.argv[1])), "files")
