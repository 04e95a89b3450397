"""Git servers that can't be installed here, as far as a hook can tell them apart: their folders, their variables, the way
they call hooks and where they keep LFS objects. Facts: tests/e2e/test_hook_servers.py. And gitolite, which can."""
from __future__ import annotations

import getpass
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from gate import HUBGATE
from servers import ENVIRONMENT, SshServer

# As Gitea, Forgejo and soft-serve write it: every script of pre-receive.d, the first failure decides.
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


@dataclass
class Forge:
    """A server with one account's repositories below `root`, whose clients come by SSH."""
    kind: str
    folder: Path
    owner: str = "team"
    name: str = "model"
    number: int = 7
    pusher: str = "alice"
    config: str = ""
    environment: dict = field(default_factory=dict)

    def __post_init__(self):
        self.home = self.folder / "home"
        self.home.mkdir(parents=True)
        self.data = self.folder / "hookdata"
        self.repo = f"{self.owner}/{self.name}"
        place = {"gitlab": "@hashed/79/02/7902.git"}.get(self.kind, f"{self.repo}.git")
        self.path = self.folder / "repositories" / place
        self.path.parent.mkdir(parents=True)
        self.git_environment = {key: value for key, value in ENVIRONMENT.items() if key != "GIT_CONFIG_GLOBAL"} | {
            "HOME": str(self.home)}
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(self.path)], check=True, env=self.git_environment)
        if self.kind in ("gitea", "forgejo", "soft-serve"):
            self.script(self.path / "hooks/pre-receive", DISPATCHER)
            self.script(self.path / f"hooks/pre-receive.d/{self.kind}", "#!/bin/sh\ncat >own-hook-ran\n")
        if self.kind == "gitlab":
            # Gitaly's own hook runs the custom ones of all repositories, then the repository's.
            self.custom = self.folder / "custom_hooks"
            self.script(self.path / "hooks/pre-receive",
                        f"#!/bin/bash\nlines=$(cat)\nfor hook in {self.custom}/pre-receive.d/* custom_hooks/pre-receive.d/*; do\n"
                        "  [ -x \"$hook\" ] || continue\n  \"$hook\" <<<\"$lines\" || exit 1\ndone\n")
        self.lfs = {"gitea": "lfs", "forgejo": "lfs", "gitlab": "shared/lfs-objects",
                    "soft-serve": f"data/lfs/{self.number}/objects"}[self.kind]
        self.lfs_layout = "full" if self.kind == "soft-serve" else "rest"
        self.lfs_root = self.folder / self.lfs
        (self.folder / "hook.yaml").write_text(f"data: {self.data}\n{self.config or self.lfs_config()}")

    def lfs_config(self) -> str:
        if self.kind != "soft-serve":
            return f"lfs:\n  roots: [{self.lfs_root}]\n  paths: [\"{{root}}/{{0:2}}/{{2:4}}/{{4:}}\"]\n"
        return (f"lfs:\n  database: {self.folder}/data/soft-serve.db\n"
                f"  roots: [\"{self.folder}/data/lfs/{{repo_id}}/objects\"]\n  paths: [\"{{root}}/{{0:2}}/{{2:4}}/{{oid}}\"]\n")

    def soft_serve_database(self) -> None:
        import sqlite3
        (self.folder / "data").mkdir(exist_ok=True)
        with sqlite3.connect(self.folder / "data/soft-serve.db") as database:
            database.execute("CREATE TABLE repos(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE)")
            database.executemany("INSERT INTO repos VALUES(?, ?)", [(self.number - 1, "other"), (self.number, self.repo)])

    def install(self, *scope: str) -> str:
        run = subprocess.run([HUBGATE, "hook", "install", "--server", self.kind, "--home", str(self.home), "--config",
                              str(self.folder / "hook.yaml"), *scope], capture_output=True, text=True, check=False,
                             env=self.git_environment, timeout=60)
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout

    @staticmethod
    def script(path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def variables(self) -> dict[str, str]:
        """What the server sets for its hooks."""
        if self.kind in ("gitea", "forgejo"):
            return {"GITEA_REPO_NAME": self.name, "GITEA_REPO_USER_NAME": self.owner, "GITEA_REPO_ID": str(self.number),
                    "GITEA_REPO_IS_WIKI": "false", "GITEA_PUSHER_NAME": self.pusher, "GITEA_PUSHER_ID": "3",
                    "GITEA_PUSHER_EMAIL": "alice@a.invalid", "GITEA_KEY_ID": "5", "GITEA_DEPLOY_KEY_ID": "0",
                    "GITEA_ROOT_URL": "http://127.0.0.1/", "SSH_ORIGINAL_COMMAND": f"git-receive-pack '/{self.repo}.git'"}
        if self.kind == "gitlab":
            return {"GL_ID": "user-3", "GL_USERNAME": self.pusher, "GL_PROJECT_PATH": self.repo,
                    "GL_REPOSITORY": f"project-{self.number}", "GL_PROTOCOL": "ssh", "GITALY_HOOKS_PAYLOAD": "e30="}
        return {"SOFT_SERVE_REPO_NAME": self.repo, "SOFT_SERVE_REPO_PATH": str(self.path), "SOFT_SERVE_USERNAME": self.pusher,
                "SOFT_SERVE_PUBLIC_KEY": "ssh-ed25519 AAAA", "SOFT_SERVE_DB_DATA_SOURCE": "postgres://u:hunter2@127.0.0.1/x",
                "SOFT_SERVE_INITIAL_ADMIN_KEYS": "ssh-ed25519 BBBB"}

    def receive_pack(self) -> str:
        """For `git push --receive-pack`: receive-pack as the server starts it."""
        program = self.folder / "receive-pack"
        sets = "".join(f"export {key}='{value}'\n" for key, value in
                       {**self.git_environment, **self.variables(), **self.environment}.items()
                       for value in [value.replace("'", "'\\''")])
        self.script(program, f"#!/bin/sh\n{sets}unset GIT_CONFIG_GLOBAL\nexec git-receive-pack '{self.path}'\n")
        return str(program)

    def refs(self) -> dict[str, str]:
        run = subprocess.run(["git", "-C", str(self.path), "for-each-ref", "--format=%(refname) %(objectname)"], check=True,
                             capture_output=True, text=True, env=self.git_environment)
        return dict(line.split() for line in run.stdout.splitlines())


class Gitolite:
    """gitolite under the account of this process, in a home of its own; alice and bob may push."""

    def __init__(self, folder: Path):
        self.home = folder / "gitolite"
        self.home.mkdir(parents=True)
        self.keys = {}
        for person in ("admin", "alice", "bob"):
            self.keys[person] = folder / person
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.keys[person])], check=True)
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(self.home), "USER": getpass.getuser(),
                            "LOGNAME": getpass.getuser(), "GIT_CONFIG_NOSYSTEM": "1"}
        (self.home / ".gitconfig").write_text("[init]\n\tdefaultBranch = main\n[user]\n\tname = g\n\temail = g@g.invalid\n"
                                              "[safe]\n\tdirectory = *\n")
        self.run("setup", "-pk", f"{self.keys['admin']}.pub")
        rc = self.home / ".gitolite.rc"
        text = rc.read_text()
        assert "# LOCAL_CODE" in text
        rc.write_text(text.replace('# LOCAL_CODE                =>  "$ENV{HOME}/local"', 'LOCAL_CODE => "$ENV{HOME}/local"'))
        assert '\n    LOCAL_CODE => "$ENV{HOME}/local"' in rc.read_text().replace("        LOCAL_CODE", "    LOCAL_CODE"), rc.read_text()
        # Two people, put into the administration's files as its own push would.
        keydir = self.home / ".gitolite/keydir"
        for person in ("alice", "bob"):
            shutil.copy(f"{self.keys[person]}.pub", keydir)
        (self.home / ".gitolite/conf/gitolite.conf").write_text(
            "@lab = alice\n@staff = @lab bob\nrepo gitolite-admin\n    RW+ = admin\nrepo team/model\n    RW+ = @staff\n")
        self.run("compile")
        self.run("trigger", "POST_COMPILE")
        self.ssh = SshServer(folder / "sshd", keys=self.home / ".ssh/authorized_keys", home=self.home)
        self.path = self.home / "repositories/team/model.git"
        self.url = f"ssh://{getpass.getuser()}@127.0.0.1:{self.ssh.port}/team/model"

    def run(self, *arguments: str) -> str:
        program = shutil.which("gitolite") or "/usr/share/gitolite3/gitolite"
        done = subprocess.run([program, *arguments], env=self.environment, capture_output=True, text=True, check=False,
                              timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def command(self, person: str) -> str:
        return self.ssh.command.replace(str(self.ssh.key), str(self.keys[person]))

    def stop(self) -> None:
        self.ssh.stop()


class Ghes:
    """GitHub Enterprise Server: the hook runs in an environment that was uploaded, in a root of its own beside the repository,
    sees neither LFS objects nor a daemon, and is killed after some seconds: five there; more here, where the hook's own four are
    what is tested and a busy machine must not be the reason."""
    repo, pusher = "team/model", "alice"

    def __init__(self, folder: Path, script: Path, seconds: int = 60):
        self.path = folder / "repositories/7/nw/1/2.git"
        self.path.parent.mkdir(parents=True)
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(self.path)], check=True, env=ENVIRONMENT)
        # What somebody would `docker export`: a shell, git and the program, each with its libraries.
        self.root = folder / "environment"
        for name in ("dev", "proc", "tmp", "var/lib/hubgate", "etc"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        for program, place in ((Path("/bin/sh"), "bin/sh"), (Path(shutil.which("git")), "usr/bin/git"),
                               (Path(HUBGATE), "usr/bin/hubgate")):
            self.add(program, place)
        self.hook = self.root / f"hooks/{script.name}"
        self.hook.parent.mkdir()
        shutil.copy(script, self.hook)
        (self.path / "hooks/pre-receive").write_text(self.server_hook(seconds))
        (self.path / "hooks/pre-receive").chmod(0o755)

    def add(self, program: Path, place: str) -> None:
        (self.root / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(program.resolve(), self.root / place)
        listed = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=False).stdout
        for library in (word for line in listed.splitlines() for word in line.split() if word.startswith("/")):
            to = self.root / library.lstrip("/")
            if not to.exists():
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(library, to)

    def server_hook(self, seconds: int) -> str:
        """Mounts go with the hook. Variables are those of the documentation; what a hook leaves in its root stays."""
        variables = {"GITHUB_REPO_NAME": self.repo, "GITHUB_USER_LOGIN": self.pusher, "GITHUB_VIA": "git push",
                     "GITHUB_USER_IP": "127.0.0.1", "GITHUB_REPO_PUBLIC": "false", "PATH": "/usr/bin:/bin"}
        sets = " ".join(f"{key}='{value}'" for key, value in variables.items())
        inside = self.root / str(self.path).lstrip("/")
        inside.mkdir(parents=True)
        return f"""#!/bin/bash
env | grep '^GIT_' | sed 's/=/="/; s/$/"/; s/^/export /' >'{self.root}/tmp/git-variables'
exec unshare -m /bin/sh -c '
  mount --bind "{self.path}" "{inside}" && mount --bind /dev "{self.root}/dev" && mount -t proc proc "{self.root}/proc" || exit 9
  exec timeout -s KILL {seconds} chroot "{self.root}" /bin/sh -c "
    . /tmp/git-variables; cd {self.path}; export {sets.replace("'", chr(92) + chr(34))}; exec /hooks/{self.hook.name}"'
"""

    def refs(self) -> dict[str, str]:
        run = subprocess.run(["git", "-C", str(self.path), "for-each-ref", "--format=%(refname) %(objectname)"], check=True,
                             capture_output=True, text=True, env=ENVIRONMENT)
        return dict(line.split() for line in run.stdout.splitlines())
