"""The real clients, each as one run in an empty home."""
from __future__ import annotations

import os
import subprocess
import textwrap
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
WORK = Path(os.environ.get("HUBGATE_TEST_WORK", TESTS / ".work"))
PYTHON = WORK / "venv/bin/python"
OLDER = WORK / "older/bin/python"  # with huggingface_hub 0.36
HF = WORK / "venv/bin/hf"
JS = WORK / "js/client.mjs"
RUST = WORK / "cargo/debug/hubgate-test-client"
CAS = WORK / "cargo/debug/local_cas_server"
TOKEN = "hf_alice"


@dataclass
class Run:
    status: int
    output: str  # standard output and error, as a person sees them
    home: Path

    @property
    def ok(self) -> bool:
        return self.status == 0


class Clients:
    """Clients that talk to `endpoint`, with their caches below `home`."""

    def __init__(self, endpoint: str, home: Path, **environment: str):
        home.mkdir(parents=True, exist_ok=True)
        self.endpoint, self.home = endpoint, home
        self.environment = {
            "PATH": os.environ["PATH"], "HOME": str(home), "HF_HOME": str(home / "hf"), "HF_ENDPOINT": endpoint,
            "HF_TOKEN": TOKEN, "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "NO_COLOR": "1",
            "DO_NOT_TRACK": "1", "TERM": "dumb", "LANG": "C.UTF-8", "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_GLOBAL": str(home / ".gitconfig"), "GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@a.invalid",
            "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@a.invalid", **environment,
        }
        (home / ".gitconfig").write_text(
            "[filter \"lfs\"]\n\tclean = git-lfs clean -- %f\n\tsmudge = git-lfs smudge -- %f\n"
            "\tprocess = git-lfs filter-process\n\trequired = true\n[init]\n\tdefaultBranch = main\n"
            "[lfs]\n\tlocksverify = false\n[safe]\n\tdirectory = *\n[protocol \"file\"]\n\tallow = always\n")

    def run(self, *command: str | Path, timeout: float = 150, cwd: Path | None = None, **environment: str) -> Run:
        done = subprocess.run(list(map(str, command)), env={**self.environment, **environment}, cwd=cwd or self.home,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=timeout, check=False)
        return Run(done.returncode, done.stdout.decode(errors="replace"), self.home)

    def python(self, script: str, **options) -> Run:
        return self.run(PYTHON, "-c", textwrap.dedent(script), **options)

    def older_python(self, script: str, **options) -> Run:
        return self.run(OLDER, "-c", textwrap.dedent(script), **options)

    def hub_download(self, repo: str, path: str, out: Path, older: bool = False, **options) -> Run:
        return (self.older_python if older else self.python)(f"""
            import shutil, huggingface_hub
            shutil.copy(huggingface_hub.hf_hub_download({repo!r}, {path!r}), {str(out)!r})
        """, **options)

    def upload_folder(self, repo: str, files: dict[str, bytes], folder: Path, older: bool = False, **options) -> Run:
        """Writes the files into `folder` and uploads it, over Xet unless HF_HUB_DISABLE_XET=1 is among the options."""
        for path, data in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
        return (self.older_python if older else self.python)(f"""
            import huggingface_hub
            api = huggingface_hub.HfApi()
            api.create_repo({repo!r}, exist_ok=True)
            api.upload_folder(repo_id={repo!r}, folder_path={str(folder)!r})
        """, **options)

    def curl(self, path: str, out: Path, *options: str) -> Run:
        return self.run("curl", "-sS", "-L", "-m", "120", "-H", f"Authorization: Bearer {TOKEN}", "-o", out,
                        "-w", "status %{http_code}\n", *options, f"{self.endpoint}/{path}")

    def js_file(self, repo: str, path: str, out: Path) -> Run:
        return self.run("node", JS, "file", self.endpoint, repo, path, out)

    def js_snapshot(self, repo: str, cache: Path) -> Run:
        return self.run("node", JS, "snapshot", self.endpoint, repo, cache)

    def js_upload(self, repo: str, *files: Path) -> Run:
        return self.run("node", JS, "upload", self.endpoint, repo, *files)

    def rust_file(self, repo: str, path: str) -> Run:
        return self.run(RUST, "file", *repo.split("/"), path)

    def rust_snapshot(self, repo: str) -> Run:
        return self.run(RUST, "snapshot", *repo.split("/"))

    def rust_change(self, verb: str, repo: str, *files: str | Path) -> Run:
        """`upload` of files in one commit, `pull-request` with one, or `delete` of a path."""
        return self.run(RUST, verb, *repo.split("/"), *files)

    def git_clone(self, repo: str, out: Path, *options: str) -> Run:
        host = self.endpoint.replace("://", f"://user:{TOKEN}@")
        return self.run("git", *options, "clone", "-q", f"{host}/{repo}", out, timeout=300)


def tree_of(folder: Path) -> dict[str, bytes]:
    """path -> bytes of all files below a folder, links followed, Git's own and caches left out."""
    found = {}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_file() and relative.parts[0] not in (".git", ".cache"):
            found[str(relative)] = path.read_bytes()
    return found
