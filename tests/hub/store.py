"""Repositories and the LFS store below the hub's root folder.

    ROOT/repos/models/NS/NAME.git     bare repositories (also datasets/, spaces/)
    ROOT/lfs/aa/bb/OID                bytes of LFS objects
"""
from __future__ import annotations

import hashlib
import json
import os
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional, Union

Content = Union[bytes, Path]
KINDS = ("models", "datasets", "spaces")
LFS_SUFFIXES = (
    ".bin", ".bz2", ".ckpt", ".gguf", ".gz", ".h5", ".joblib", ".lz4", ".model", ".npy", ".npz", ".parquet",
    ".pickle", ".pkl", ".pt", ".pth", ".safetensors", ".tar", ".xz", ".zip", ".zst", ".7z",
)
ATTRIBUTES = "".join(f"*{suffix} filter=lfs diff=lfs merge=lfs -text\n" for suffix in LFS_SUFFIXES).encode()
POINTER_HEAD = b"version https://git-lfs.github.com/spec/v1\n"
GIT_ENV = {
    "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_AUTHOR_NAME": "Sample", "GIT_AUTHOR_EMAIL": "sample@hub.invalid",
    "GIT_COMMITTER_NAME": "Sample", "GIT_COMMITTER_EMAIL": "sample@hub.invalid",
}


def git(path: Path, *arguments: str, stdin: Optional[bytes] = None) -> bytes:
    """Runs git in a bare repository and returns its output."""
    run = subprocess.run(
        ["git", "-C", str(path), *arguments], input=stdin, capture_output=True, check=False,
        env={**os.environ, **GIT_ENV},
    )
    if run.returncode != 0:
        raise RuntimeError(f"git {' '.join(arguments)}: {run.stderr.decode(errors='replace')}")
    return run.stdout


@dataclass
class Entry:
    """A file or folder of a revision. `size` and `lfs` are those of the file, not of its pointer."""
    path: str
    kind: str
    oid: str
    size: int
    lfs: Optional[str] = None
    pointer_size: int = 0

    @property
    def etag(self) -> str:
        return self.lfs or self.oid

    @property
    def xet_hash(self) -> str:
        return hashlib.sha256(b"xet" + (self.lfs or "").encode()).hexdigest()


@dataclass
class Repository:
    kind: str
    name: str
    path: Path
    trees: dict = field(default_factory=dict)

    @property
    def meta(self) -> dict:
        """private: bool; gated: list of users who may read; renamed_to: new name."""
        file = self.path / "hub.json"
        return json.loads(file.read_text()) if file.exists() else {}

    def set_meta(self, **values) -> None:
        (self.path / "hub.json").write_text(json.dumps({**self.meta, **values}))

    def commit_of(self, revision: str) -> Optional[str]:
        if revision.startswith("-"):
            return None
        for candidate in (revision, f"refs/heads/{revision}", f"refs/tags/{revision}"):
            try:
                return git(self.path, "rev-parse", "--verify", "-q", candidate + "^{commit}").decode().strip()
            except RuntimeError:
                continue
        return None

    def tree(self, commit: str) -> dict[str, Entry]:
        """Every file and folder of a commit by path, in git's order."""
        if commit in self.trees:
            return self.trees[commit]
        entries: dict[str, Entry] = {}
        for line in git(self.path, "ls-tree", "-r", "-t", "-l", "-z", commit).split(b"\0"):
            if not line:
                continue
            head, path = line.split(b"\t", 1)
            _, kind, oid, size = head.split()
            name = path.decode()
            if kind == b"tree":
                entries[name] = Entry(name, "directory", oid.decode(), 0)
                continue
            entry = Entry(name, "file", oid.decode(), int(size))
            if entry.size < 1024:
                pointer = parse_pointer(git(self.path, "cat-file", "blob", entry.oid))
                if pointer:
                    entry.pointer_size = entry.size
                    entry.lfs, entry.size = pointer
            entries[name] = entry
        self.trees[commit] = entries
        return entries

    def blob(self, oid: str) -> bytes:
        return git(self.path, "cat-file", "blob", oid)


def parse_pointer(data: bytes) -> Optional[tuple[str, int]]:
    """(oid, size) if the bytes are an LFS pointer."""
    if not data.startswith(POINTER_HEAD):
        return None
    fields = dict(line.split(" ", 1) for line in data.decode(errors="replace").splitlines() if " " in line)
    return fields["oid"].removeprefix("sha256:"), int(fields["size"])


def make_pointer(oid: str, size: int) -> bytes:
    return POINTER_HEAD + f"oid sha256:{oid}\nsize {size}\n".encode()


class Store:
    def __init__(self, root: Path):
        self.root = root
        self.lock = threading.Lock()
        self.open: dict[tuple[str, str], Repository] = {}

    def repository(self, kind: str, name: str) -> Optional[Repository]:
        if kind not in KINDS or any(part in ("", ".", "..") for part in name.split("/")):
            return None
        path = self.root / "repos" / kind / f"{name}.git"
        if not path.is_dir():
            return None
        return self.open.setdefault((kind, name), Repository(kind, name, path))

    def repositories(self, kind: str) -> list[Repository]:
        folder = self.root / "repos" / kind
        names = sorted(str(p.relative_to(folder))[:-4] for p in folder.glob("**/*.git"))
        return [repo for repo in (self.repository(kind, name) for name in names) if repo]

    def create(self, kind: str, name: str, **meta) -> Repository:
        path = self.root / "repos" / kind / f"{name}.git"
        path.mkdir(parents=True)
        git(path, "init", "-q", "--bare", "-b", "main")
        git(path, "config", "http.receivepack", "true")
        git(path, "config", "uploadpack.allowFilter", "true")
        repo = self.repository(kind, name)
        assert repo
        if meta:
            repo.set_meta(**meta)
        return repo

    def lfs_path(self, oid: str) -> Path:
        return self.root / "lfs" / oid[:2] / oid[2:4] / oid

    def add_lfs(self, content: Content) -> tuple[str, int]:
        """Puts bytes (or a file's) into the LFS store; returns (oid, size)."""
        if isinstance(content, Path):
            digest = hashlib.sha256()
            with content.open("rb") as file:
                while chunk := file.read(1 << 20):
                    digest.update(chunk)
            oid, size = digest.hexdigest(), content.stat().st_size
        else:
            oid, size = hashlib.sha256(content).hexdigest(), len(content)
        path = self.lfs_path(oid)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, Path):
                os.link(content, path)
            else:
                path.write_bytes(content)
        return oid, size

    def commit(self, repo: Repository, files: dict[str, Optional[Content]], message: str = "Add files",
               branch: str = "main", pointers: Optional[dict[str, tuple[str, int]]] = None,
               start: Optional[str] = None) -> str:
        """Commits files (None deletes; large kinds go to LFS) and ready-made pointers; returns the sha.
        `start`: the parent of the first commit of a reference."""
        ref = branch if branch.startswith("refs/") else f"refs/heads/{branch}"
        blobs: dict[str, Optional[bytes]] = {}
        for path, content in files.items():
            if content is None:
                blobs[path] = None
            elif path.endswith(LFS_SUFFIXES):
                blobs[path] = make_pointer(*self.add_lfs(content))
            else:
                blobs[path] = content.read_bytes() if isinstance(content, Path) else content
        for path, pointer in (pointers or {}).items():
            blobs[path] = make_pointer(*pointer)
        with self.lock:
            parent = repo.commit_of(ref) or start
            if not parent:
                blobs.setdefault(".gitattributes", ATTRIBUTES)
            stream = [f"commit {ref}\ncommitter Sample <sample@hub.invalid> 1700000000 +0000\n"
                      f"data {len(message.encode())}\n{message}\n".encode()]
            if parent:
                stream.append(f"from {parent}\n".encode())
            for path, blob in sorted(blobs.items()):
                if blob is None:
                    stream.append(f"D {path}\n".encode())
                else:
                    stream.append(f"M 100644 inline {path}\ndata {len(blob)}\n".encode() + blob + b"\n")
            git(repo.path, "fast-import", "--quiet", "--force", stdin=b"".join(stream))
            commit = repo.commit_of(ref)
        assert commit
        return commit
