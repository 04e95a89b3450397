"""`hubgate hook install`, `uninstall` and `self-test`: every layout of hooks, chained to what was there."""
import os
import subprocess
from pathlib import Path

import pytest

from gate import HUBGATE
from servers import ENVIRONMENT, HttpServer, SshServer
from test_hook import CLEAN, POISON, WorkingCopy, assert_refused

# As Gitea, Forgejo and soft-serve write it.
DISPATCHER = """#!/usr/bin/env bash
data=$(cat)
exitcodes=""
hookname=$(basename $0)
GIT_DIR=${GIT_DIR:-$(dirname $0)/..}
for hook in ${GIT_DIR}/hooks/${hookname}.d/*; do
  test -x "${hook}" && test -f "${hook}" || continue
  echo "${data}" | "${hook}"
  exitcodes="${exitcodes} $?"
done
for i in ${exitcodes}; do
  [ ${i} -eq 0 ] || exit ${i}
done
"""


class Host:
    """A machine with repositories of one account."""

    def __init__(self, folder: Path):
        self.home = folder / "home"
        self.root = self.home / "repositories"
        self.root.mkdir(parents=True)
        self.data = folder / "data"
        self.environment = {key: value for key, value in ENVIRONMENT.items() if key != "GIT_CONFIG_GLOBAL"}
        self.environment["HOME"] = str(self.home)

    def repository(self, name: str = "model.git") -> Path:
        path = self.root / name
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(path)], check=True, env=self.environment)
        return path

    def script(self, path: Path, text: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
        return path

    def hubgate(self, verb: str, *arguments: str, code: int = 0) -> str:
        run = subprocess.run([HUBGATE, "hook", verb, "--home", str(self.home), "--data", str(self.data), *arguments],
                             capture_output=True, text=True, env=self.environment, timeout=120)
        assert run.returncode == code, run.stdout + run.stderr
        return run.stdout + run.stderr

    def install(self, *arguments: str, code: int = 0) -> str:
        return self.hubgate("install", *arguments, code=code)

    def uninstall(self, *arguments: str, code: int = 0) -> str:
        return self.hubgate("uninstall", *arguments, code=code)

    def self_test(self, *arguments: str, code: int = 0) -> str:
        return self.hubgate("self-test", *arguments, code=code)


class Person(WorkingCopy):
    """Pushes to folders under the account's environment."""

    def __init__(self, folder, host):
        super().__init__(folder)
        self.host = host

    def push_to(self, repository, branch="main"):
        run = self.git("push", str(repository), f"main:{branch}", check=False, HOME=str(self.host.home),
                       **{"GIT_CONFIG_GLOBAL": str(self.host.home / ".gitconfig")})
        return run


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


@pytest.fixture
def person(tmp_path, host):
    return Person(tmp_path, host)


def assert_guards(person, repository):
    """A clean push passes, a poisoned one does not."""
    person.commit({"vocabulary.pkl": CLEAN, "model.pkl": CLEAN})
    run = person.push_to(repository)
    assert run.ok, run.output
    person.commit({"model.pkl": POISON})
    assert_refused(person.push_to(repository), "model.pkl", "os.system")
    person.git("reset", "-q", "--hard", "HEAD~1")


def assert_does_not_guard(person, repository):
    person.commit({"model.pkl": POISON})
    run = person.push_to(repository)
    assert run.ok, run.output


def test_one_repository(host, person):
    repository = host.repository()
    assert "write " in host.install("--server", "bare", "--repo", str(repository))
    assert "nothing to do: it is installed" in host.install("--server", "bare", "--repo", str(repository))
    assert_guards(person, repository)
    host.uninstall("--server", "bare", "--repo", str(repository))
    assert not (repository / "hooks/pre-receive").exists()
    assert "not installed" in host.uninstall("--server", "bare", "--repo", str(repository))
    assert_does_not_guard(person, repository)


def test_a_dry_run_changes_nothing(host):
    repository = host.repository()
    before = sorted(repository.rglob("*"))
    assert "would write " in host.install("--server", "bare", "--repo", str(repository), "--dry-run")
    assert "would set core.hooksPath" in host.install("--server", "bare", "--global", "--dry-run")
    assert sorted(repository.rglob("*")) == before
    assert not (host.home / ".gitconfig").exists()


def test_an_existing_hook_runs_on_with_the_same_lines(host, person):
    repository = host.repository()
    seen = repository / "seen"
    old = "#!/bin/sh\ncat >seen\ngrep -q refs/heads/forbidden seen && { echo 'not that branch'; exit 1; }\nexit 0\n"
    hook = host.script(repository / "hooks/pre-receive", old)
    assert "pre-receive.before-hubgate" in host.install("--server", "bare", "--repo", str(repository))
    host.install("--server", "bare", "--repo", str(repository))
    assert_guards(person, repository)
    person.commit({"model.pkl": CLEAN, "more.pkl": CLEAN})
    assert person.push_to(repository).ok
    assert seen.read_text().endswith(" refs/heads/main\n")
    run = person.push_to(repository, "forbidden")
    assert not run.ok and "not that branch" in run.output, run.output
    # A refused push never reaches it.
    seen.unlink()
    person.commit({"model.pkl": POISON})
    assert not person.push_to(repository).ok
    assert not seen.exists()
    host.uninstall("--server", "bare", "--repo", str(repository))
    assert hook.read_text() == old
    assert not (repository / "hooks/pre-receive.before-hubgate").exists()


def test_one_repository_does_not_change_the_hook_of_all(host, person):
    repository = host.repository()
    host.script(repository / "hooks/pre-receive", "#!/bin/sh\ncat >own-pre-receive\n")
    host.install("--server", "bare", "--global")
    before = (host.home / "hubgate-hooks/pre-receive").read_text()
    said = host.install("--server", "bare", "--repo", str(repository), "--policy", "audit", code=3)
    assert "the hook of all repositories" in said and "--global" in said, said
    assert (host.home / "hubgate-hooks/pre-receive").read_text() == before
    assert_guards(person, repository)
    assert (repository / "own-pre-receive").exists()


@pytest.mark.parametrize("flags, words", [(("--policy", "strikt"), "strikt"), (("--config", "/nonexistent.yaml"), "/nonexistent.yaml")])
def test_settings_that_can_not_be_read_are_not_installed(host, flags, words):
    repository = host.repository()
    said = host.install("--server", "bare", "--repo", str(repository), *flags, code=2)
    assert words in said and said.count("\n") == 1, said
    assert not (repository / "hooks/pre-receive").exists()


def test_all_repositories_of_an_account(host, person):
    repository = host.repository("old.git")
    host.script(repository / "hooks/pre-receive", "#!/bin/sh\ncat >own-pre-receive\n")
    host.script(repository / "hooks/post-receive", "#!/bin/sh\ncat >own-post-receive\n")
    host.install("--server", "bare", "--global")
    assert "nothing to do" in host.install("--server", "bare", "--global")
    assert_guards(person, repository)
    assert (repository / "own-pre-receive").exists() and (repository / "own-post-receive").exists()
    assert_guards(person, host.repository("new.git"))
    host.uninstall("--server", "bare", "--global")
    assert not (host.home / "hubgate-hooks").exists()
    assert "hooksPath" not in (host.home / ".gitconfig").read_text()
    assert_does_not_guard(person, repository)


def test_a_folder_of_hooks_that_somebody_set_is_shared(host, person):
    repository = host.repository()
    theirs = host.script(host.home / "their-hooks/pre-receive", "#!/bin/sh\ncat >theirs\n")
    (host.home / ".gitconfig").write_text(f"[core]\n\thooksPath = {host.home}/their-hooks\n")
    host.install("--server", "bare", "--global")
    assert_guards(person, repository)
    assert (repository / "theirs").exists()
    host.uninstall("--server", "bare", "--global")
    assert theirs.read_text() == "#!/bin/sh\ncat >theirs\n"
    assert "their-hooks" in (host.home / ".gitconfig").read_text()


@pytest.mark.parametrize("server", ["forgejo", "gitea", "soft-serve"])
def test_forges_run_it_beside_their_own(host, person, server):
    repository = host.repository()
    host.script(repository / "hooks/pre-receive", DISPATCHER)
    host.script(repository / "hooks/pre-receive.d/gitea", "#!/bin/sh\ncat >own\n")
    host.install("--server", server, "--repo", str(repository))
    assert (repository / "hooks/pre-receive").read_text() == DISPATCHER
    assert_guards(person, repository)
    assert (repository / "own").exists()
    host.uninstall("--server", server, "--repo", str(repository))
    assert [path.name for path in (repository / "hooks/pre-receive.d").iterdir()] == ["gitea"]


def test_gitlab_has_a_folder_of_its_own(host):
    hooks = host.home / "custom_hooks"
    said = host.install("--server", "gitlab", "--global", "--hooks", str(hooks))
    assert "Gitaly node" in said
    assert os.access(hooks / "pre-receive.d/hubgate", os.X_OK)
    repository = host.repository("@hashed.git")
    host.install("--server", "gitlab", "--repo", str(repository))
    assert os.access(repository / "custom_hooks/pre-receive.d/hubgate", os.X_OK)
    host.uninstall("--server", "gitlab", "--global", "--hooks", str(hooks))
    assert not (hooks / "pre-receive.d/hubgate").exists()


def test_servers_that_take_uploads_get_a_script(host):
    said = host.install("--server", "ghes", "--global", code=3)
    assert "--hooks DIR" in said
    host.install("--server", "ghes", "--global", "--hooks", str(host.home / "upload"))
    script = (host.home / "upload/hubgate-pre-receive.sh").read_text()
    assert "--deadline 4s" in script  # all hooks of that server together have five


def test_a_script_that_is_not_ours_is_never_overwritten(host):
    repository = host.repository()
    foreign = host.script(repository / "hooks/pre-receive.d/hubgate", "#!/bin/sh\nexit 0\n")
    assert "is not ours" in host.install("--server", "forgejo", "--repo", str(repository), code=3)
    host.script(repository / "hooks/pre-receive", "#!/bin/sh\nexit 0\n")
    host.script(repository / "hooks/pre-receive.before-hubgate", "#!/bin/sh\nexit 1\n")
    assert "takes a person" in host.install("--server", "bare", "--repo", str(repository), code=3)
    assert foreign.read_text() == "#!/bin/sh\nexit 0\n"


@pytest.mark.parametrize("arguments, words, code", [
    (["--server", "nonsense", "--global"], "--server takes one of bare, gitea", 2),
    (["--server", "bare"], "either --global or --repo", 2),
    (["--server", "bare", "--global", "--repo", "x"], "either --global or --repo", 2),
    (["--server", "bare", "--repo", "/nonexistent"], "is no Git repository", 3),
    (["--server", "gitolite", "--repo", "x"], "leave --repo out", 3),
])
def test_bad_flags_get_one_line(host, arguments, words, code):
    said = host.install(*arguments, code=code)
    assert words in said and said.count("\n") == 1, said


def test_self_test_of_a_good_installation(host, person):
    repository = host.repository()
    host.install("--server", "bare", "--global")
    said = host.self_test("--server", "bare", "--root", str(host.root))
    assert "FAIL" not in said and "the gate holds" in said, said
    for words in ("a clean push passes", "quarantine", "a poisoned file is refused", "behind a clean one",
                  "a tag that names", "without its object", "found in the server's store",
                  "all 1 repositories", "open  "):
        assert words in said, (words, said)
    assert [path.name for path in host.root.iterdir()] == [repository.name]


def test_self_test_finds_what_does_not_hold(host):
    repository = host.repository()
    host.install("--server", "bare", "--repo", str(repository))
    host.repository("forgotten.git")
    said = host.self_test("--server", "bare", "--root", str(host.root), code=1)
    assert "forgotten.git has no hook of ours" in said and "1 of 2 repositories" in said, said
    assert "does NOT hold" in said
    # A global hook that lets everything pass.
    host.install("--server", "bare", "--global")
    gate = host.home / "hubgate-hooks/pre-receive"
    gate.write_text("#!/bin/sh\n# hubgate: hook pre-receive\nexit 0\n")
    said = host.self_test("--server", "bare", "--root", str(host.root), code=1)
    assert "FAIL  a poisoned file is refused" in said and "FAIL  the server ran the hook" in said, said


def test_self_test_of_a_forge(host):
    host.install("--server", "forgejo", "--global")
    said = host.self_test("--server", "forgejo", "--root", str(host.root))
    assert "FAIL" not in said and "releases" in said, said


def test_self_test_pushes_to_a_running_server(host, tmp_path):
    repository = host.repository()
    subprocess.run(["git", "-C", str(repository), "config", "http.receivepack", "true"], check=True)
    host.install("--server", "bare", "--repo", str(repository))
    server = HttpServer(tmp_path / "http", host.root)
    try:
        said = host.self_test("--server", "bare", "--url", f"http://127.0.0.1:{server.port}/model.git")
    finally:
        server.stop()
    assert "FAIL" not in said and "the gate holds" in said, said
    refs = subprocess.run(["git", "-C", str(repository), "for-each-ref"], capture_output=True, text=True, check=True)
    assert refs.stdout == ""
