"""Machines in networks of their own: a process that holds the namespaces, and commands inside of them.

As root the namespaces are made directly; where that is forbidden (or the tests run as somebody else) they lie in a
user namespace of which the test is root."""
from __future__ import annotations

import subprocess
from pathlib import Path


class Machine:
    """A network, and an /etc/hosts, of its own. `first`: the machine whose user namespace the others share."""

    def __init__(self, name: str, hosts: str, folder: Path, first: "Machine | None" = None):
        file = folder / f"hosts.{name}"
        file.write_text(f"127.0.0.1 localhost\n::1 localhost\n{hosts}")
        if first:
            self.user = first.user
        else:
            privileged = subprocess.run(["unshare", "-nm", "true"], capture_output=True, check=False).returncode == 0
            self.user = None if privileged else 0
        enter = ["nsenter", "-t", str(first.user), "-U", "--preserve-credentials"] if first and self.user else []
        make = ["unshare", "-Urnm"] if self.user == 0 else [*enter, "unshare", "-nm"]
        script = ("mount --make-rprivate / && mount --bind \"$1\" /etc/hosts && ip link set lo up && "
                  "for v in 4 6; do echo 1 >/proc/sys/net/ipv$v/$2/forwarding; done; echo ready; exec cat")
        self.process = subprocess.Popen([*make, "sh", "-c", script, "sh", str(file), "conf/all"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            raise RuntimeError(f"no namespaces: {self.process.stderr.read()}")
        if self.user == 0:
            self.user = self.process.pid
        owner = ["-U", "--preserve-credentials"] if self.user else []
        self.prefix = ["nsenter", "-t", str(self.process.pid), *owner, "-n", "-m", "sh", "-c", "cd \"$1\" && shift && exec \"$@\"", "sh"]

    def command(self, *words: str | Path, cwd: Path | str = "/") -> list[str]:
        return [*self.prefix, str(cwd), *map(str, words)]

    def run(self, *words: str | Path, check: bool = True, **options) -> subprocess.CompletedProcess:
        done = subprocess.run(self.command(*words), capture_output=True, text=True, check=False,
                              timeout=options.pop("timeout", 120), **options)
        if check and done.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, words))}: {done.stdout}{done.stderr}")
        return done

    def shell(self, script: str, **options) -> subprocess.CompletedProcess:
        return self.run("sh", "-ec", script, **options)

    def address(self, link: str, *addresses: str) -> None:
        for address in addresses:
            self.run("ip", "address", "add", address, "dev", link, *(["nodad"] if ":" in address else []))
        self.run("ip", "link", "set", link, "up")

    def stop(self) -> None:
        self.process.stdin.close()
        self.process.wait(20)


def connect(one: Machine, link: str, other: Machine, other_link: str) -> None:
    """A cable between two machines."""
    one.run("ip", "link", "add", link, "type", "veth", "peer", "name", other_link, "netns", str(other.process.pid))
