"""deploy/SERVER/README.md: its commands are run as they are written, its configurations are read. Only paths and addresses are
those of a machine in a temporary folder."""
import os
import re
import shlex
import subprocess

import pytest

from forges import DISPATCHER, Ghes, Gitolite
from gate import HUBGATE, ROOT
from servers import ENVIRONMENT
from test_hook import CLEAN, POISON, WorkingCopy, assert_refused

SERVERS = sorted(path.parent.name for path in (ROOT / "deploy").glob("*/README.md") if "hook install" in path.read_text())
FORGES = ("gitea", "forgejo", "soft-serve")


def blocks(server):
    """Indented ones: commands, each on a line, and configurations."""
    text = (ROOT / f"deploy/{server}/README.md").read_text()
    commands, configurations = [], []
    for block in re.findall(r"(?:^    .*\n|^\n(?=    ))+", text, re.M):
        lines = [line[4:] for line in block.splitlines()]
        if re.match(r"(hubgate|gitolite|curl) ", "\n".join(lines).lstrip()):
            commands += [line for line in "\n".join(lines).replace("\\\n", " ").splitlines() if line.strip()]
        else:
            configurations.append("\n".join(lines) + "\n")
    return commands, configurations, re.findall(r"`(hubgate hook (?:scan-server|uninstall)[^`]*)`", text)


def test_each_server_has_its_file():
    assert SERVERS == ["bare", "bitbucket", "forgejo", "ghes", "gitea", "gitlab", "gitolite", "soft-serve"]


class Machine:
    """What the file's paths are here."""

    def __init__(self, server, folder):
        self.server, self.folder = server, folder
        self.home = folder / "home"
        self.home.mkdir()
        self.environment = {**os.environ, "HOME": str(self.home), "GIT_CONFIG_NOSYSTEM": "1"}
        self.repository = folder / ("srv/git/model.git" if server == "bare" else f"var/lib/{server}/data/repositories/team/model.git")
        if server == "soft-serve":
            self.repository = folder / "var/lib/soft-serve/data/repos/model.git"
        self.gitolite = None
        if server == "gitolite":
            self.gitolite = Gitolite(folder / "machine")
            self.home, self.repository = self.gitolite.home, self.gitolite.path
            self.environment |= self.gitolite.environment
        else:
            self.repository.parent.mkdir(parents=True)
            subprocess.run(["git", "init", "-q", "--bare", "-b", "main", self.repository], check=True, env=ENVIRONMENT)
        if server in FORGES:
            hook = self.repository / "hooks/pre-receive"
            hook.write_text(DISPATCHER)
            hook.chmod(0o755)
        for name in (f"var/lib/{server}/data/home", "etc/hubgate"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        if server == "soft-serve":
            import sqlite3
            with sqlite3.connect(folder / "var/lib/soft-serve/data/soft-serve.db") as database:
                database.execute("CREATE TABLE repos(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE)")
        (folder / "etc/hubgate/s3").write_text("aws_access_key_id = a\naws_secret_access_key = b\n")
        (folder / "etc/hubgate/lfs-token").write_text("secret\n")
        for name in ("s3", "lfs-token"):
            (folder / "etc/hubgate" / name).chmod(0o600)

    def here(self, text):
        text = re.sub(r"(?<![\w.:/~])/(var/lib|var/opt|srv|etc/hubgate)(?=/)", rf"{self.folder}/\1", text)
        return text.replace("~/", f"{self.home}/").replace("./upload", f"{self.folder}/upload")

    def run(self, command, code=0):
        words = [HUBGATE if word == "hubgate" else word for word in shlex.split(self.here(command))]
        done = subprocess.run(words, capture_output=True, text=True, env=self.environment, timeout=120, check=False, cwd=self.folder)
        assert done.returncode == code, (command, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def push(self, work, *refs):
        return work.git("push", str(self.repository), *refs, check=False, HOME=str(self.home), GIT_CONFIG_GLOBAL=str(self.config))

    @property
    def config(self):
        inside = self.folder / f"var/lib/{self.server}" / ("data/home" if self.server != "soft-serve" else "") / ".gitconfig"
        return inside if self.server in FORGES else self.home / ".gitconfig"


@pytest.fixture
def machine(request, tmp_path):
    made = Machine(request.param, tmp_path)
    yield made
    if made.gitolite:
        made.gitolite.stop()


@pytest.mark.parametrize("machine", SERVERS, indirect=True)
def test_configurations_are_read(machine):
    for number, text in enumerate(blocks(machine.server)[1]):
        file = machine.folder / f"{number}.yaml"
        file.write_text(machine.here(text))
        machine.run(f"hubgate hook pending --config {file} --data {machine.folder}/nothing")


@pytest.mark.parametrize("machine", ["bare", "forgejo", "gitea", "gitolite", "soft-serve"], indirect=True)
def test_commands_of_servers_that_are_here(machine, tmp_path):
    commands, configurations, others = blocks(machine.server)
    if any("--config" in command for command in commands):
        text = configurations[0]
        (machine.folder / "etc/hubgate/hubgate.yaml").write_text(machine.here(text if "data:" in text else f"data: /var/lib/hubgate\n{text}"))
    said = ""
    for command in commands:
        said = machine.run(command)
    assert "self-test" in commands[-1] and "the gate holds" in said and "FAIL" not in said, said
    work = WorkingCopy(tmp_path)
    work.commit({"vocabulary.pkl": CLEAN})
    push = ((lambda: work.git("push", machine.gitolite.url, "main", check=False, GIT_SSH_COMMAND=machine.gitolite.command("alice")))
            if machine.gitolite else (lambda: machine.push(work, "main")))
    run = push()
    assert run.ok, run.output
    work.commit({"model.pkl": POISON})
    assert_refused(push(), "model.pkl", "os.system")
    for command in others:
        machine.run(command)


@pytest.mark.parametrize("machine", ["gitlab", "bitbucket", "ghes"], indirect=True)
def test_commands_of_servers_that_are_elsewhere(machine):
    """What the server would do with the result is done by hand; the self-test pushes to a repository that it runs for."""
    commands, configurations, _ = blocks(machine.server)
    (machine.folder / "etc/hubgate/hubgate.yaml").write_text(f"data: {machine.folder}/var/lib/hubgate\n")
    install, test = commands[0], commands[-1]
    machine.run(install)
    repository, hook = machine.repository, machine.repository / "hooks/pre-receive"
    if machine.server == "gitlab":
        folder = machine.folder / "var/opt/gitlab/gitaly/custom_hooks"
        hook.write_text(f"#!/bin/sh\nfor hook in {folder}/pre-receive.d/*; do exec \"$hook\"; done\n")
    else:
        script = machine.folder / "upload/hubgate-pre-receive.sh"
        assert "'/usr/bin/hubgate' hook pre-receive" in script.read_text(), script.read_text()
        if machine.server == "ghes":
            assert "--deadline 4s" in script.read_text()
            # Inside, the folder is where the file says.
            script.write_text(script.read_text().replace(f"{machine.folder}/var/lib/hubgate", "/var/lib/hubgate"))
            repository = Ghes(machine.folder / "ghes", script).path
        else:
            hook.write_text(script.read_text().replace("/usr/bin/hubgate", HUBGATE))
    if machine.server != "ghes":
        hook.chmod(0o755)
    said = machine.run(re.sub(r"https://\S+", str(repository), test))
    assert "the gate holds" in said and "FAIL" not in said and "open  " in said, said
