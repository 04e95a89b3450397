"""Git servers for the hook's tests: a folder, sshd, nginx with http-backend; all on loopback."""
from __future__ import annotations

import getpass
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from gate import HUBGATE, free_port

ENVIRONMENT = {"PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null",
               "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}


def wait_for_port(port: int, seconds: int = 10) -> None:
    import socket
    for _ in range(20 * seconds):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"nothing listens on {port}")


class BareRepository:
    """A bare repository whose pre-receive hook is hubgate."""

    def __init__(self, folder: Path, *options: str, config: str = ""):
        self.path = folder / "repo.git"
        self.data = folder / "hookdata"
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(self.path)], check=True, env=ENVIRONMENT)
        for name, value in (("http.receivepack", "true"), ("uploadpack.allowAnySHA1InWant", "true"),
                            ("receive.advertisePushOptions", "true")):
            subprocess.run(["git", "-C", str(self.path), "config", name, value], check=True, env=ENVIRONMENT)
        arguments = ["--data", str(self.data), *options]
        if config:
            (folder / "hook.yaml").write_text(config)
            arguments += ["--config", str(folder / "hook.yaml")]
        self.hook = self.path / "hooks/pre-receive"
        self.set_hook(f"exec {HUBGATE} hook pre-receive {' '.join(arguments)}")

    def set_hook(self, line: str) -> None:
        self.hook.write_text(f"#!/bin/sh\n{line}\n")
        self.hook.chmod(0o755)

    def git(self, *arguments: str) -> str:
        return subprocess.run(["git", "-C", str(self.path), *arguments], check=True, capture_output=True, text=True,
                              env=ENVIRONMENT).stdout

    def refs(self) -> dict[str, str]:
        lines = self.git("for-each-ref", "--format=%(refname) %(objectname)").splitlines()
        return dict(line.split() for line in lines)

    def objects(self) -> set[str]:
        return set(self.git("cat-file", "--batch-all-objects", "--batch-check=%(objectname)").split())

    def put_lfs(self, data: bytes, oid: str | None = None, template: str = "lfs/objects/{a}/{b}/{oid}", root: Path | None = None) -> str:
        """Puts bytes where the server keeps the LFS object `oid`."""
        import hashlib
        oid = oid or hashlib.sha256(data).hexdigest()
        path = (root or self.path) / template.format(a=oid[:2], b=oid[2:4], oid=oid, rest=oid[4:])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return oid


class SshServer:
    """sshd on loopback for the account of this process. `keys`: whose authorized_keys; `home`: what logins get as HOME;
    `options`: more lines of sshd_config."""

    def __init__(self, folder: Path, keys: Path | None = None, home: Path | None = None, options: str = ""):
        folder.mkdir(parents=True)
        self.port = free_port()
        self.key = folder / "key"
        for key in (self.key, folder / "host"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        shutil.copy(f"{self.key}.pub", folder / "authorized_keys")
        (folder / "config").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nPidFile {folder}/pid\nStrictModes no\n"
            f"UsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\nAuthorizedKeysFile {keys or folder / 'authorized_keys'}\n"
            + (f"SetEnv HOME={home}\n" if home else "") + options)
        Path("/run/sshd").mkdir(exist_ok=True)
        sshd = shutil.which("sshd") or "/usr/sbin/sshd"
        self.process = subprocess.Popen([sshd, "-D", "-f", str(folder / "config")], stderr=subprocess.DEVNULL)
        wait_for_port(self.port)
        self.user = getpass.getuser()

    def url(self, repository: BareRepository) -> str:
        return f"ssh://{self.user}@127.0.0.1:{self.port}{repository.path}"

    @property
    def command(self) -> str:
        return f"ssh -i {self.key} -o IdentitiesOnly=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)


class HttpServer:
    """nginx, fcgiwrap and git-http-backend, serving every repository below `root`. `lfs`: the address of an LFS server that
    nginx puts under REPOSITORY.git/info/lfs, as Git servers have it."""

    def __init__(self, folder: Path, root: Path, lfs: str = ""):
        folder.mkdir(parents=True)
        self.root = root
        self.port = free_port()
        socket_path = folder / "fcgi.sock"
        fcgiwrap = shutil.which("fcgiwrap") or "/usr/sbin/fcgiwrap"
        self.processes = [subprocess.Popen([fcgiwrap, "-c", "2", "-s", f"unix:{socket_path}"], env=ENVIRONMENT, start_new_session=True)]
        beside = ("location ~ ^/.+[.]git/info/lfs/ {" f" proxy_pass {lfs}; proxy_request_buffering off; proxy_set_header Host $http_host; " "}"
                  if lfs else "")
        (folder / "nginx.conf").write_text(f"""
            daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; worker_processes 1; user {getpass.getuser()};
            events {{ worker_connections 64; }}
            http {{
              access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
              uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
              server {{
                listen 127.0.0.1:{self.port};
                client_max_body_size 0;
                {beside}
                location / {{
                  include /etc/nginx/fastcgi_params;
                  fastcgi_param SCRIPT_FILENAME /usr/lib/git-core/git-http-backend;
                  fastcgi_param GIT_PROJECT_ROOT {root};
                  fastcgi_param GIT_HTTP_EXPORT_ALL 1;
                  fastcgi_param PATH_INFO $uri;
                  fastcgi_param REMOTE_USER pusher;
                  fastcgi_param HOME /nonexistent;
                  fastcgi_request_buffering off;
                  fastcgi_read_timeout 300;
                  fastcgi_pass unix:{socket_path};
                }}
              }}
            }}""")
        nginx = shutil.which("nginx") or "/usr/sbin/nginx"
        self.processes.append(subprocess.Popen([nginx, "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")]))
        wait_for_port(self.port)

    def url(self, repository: BareRepository) -> str:
        return f"http://127.0.0.1:{self.port}/{repository.path.relative_to(self.root)}"

    def stop(self) -> None:
        fcgiwrap, nginx = self.processes
        nginx.terminate()
        # fcgiwrap leaves its workers behind when it alone is told to end
        os.killpg(fcgiwrap.pid, signal.SIGTERM)
        for process in self.processes:
            process.wait(10)
