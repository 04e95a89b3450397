"""Runs `hubgate serve` for a test, and asks it things over plain HTTP."""
from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
HUBGATE = os.environ.get("HUBGATE", str(ROOT / "build/release/hubgate"))


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def hubgate(*arguments: str | Path, **options) -> subprocess.CompletedProcess:
    """One run of the program; output as text."""
    return subprocess.run([HUBGATE, *map(str, arguments)], capture_output=True, text=True, check=False,
                          timeout=options.pop("timeout", 120), **options)


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes
    complete: bool

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")

    @property
    def everything(self) -> str:
        """Head and body, for what must not be in either."""
        return str(self.headers) + self.text


class Gate:
    """A gate in front of `upstream` with its own data folder. `config` is the text of hubgate.yaml."""

    def __init__(self, folder: Path, upstream: str, *options: str, config: str = "", policy: str = "", **environment: str):
        self.environment = {**os.environ, **environment}
        self.data = folder / "data"
        self.folder = folder
        self.port = free_port()
        self.admin_port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.arguments = ["serve", "--listen", f"127.0.0.1:{self.port}", "--upstream", upstream, "--data", str(self.data),
                          "--admin", f"127.0.0.1:{self.admin_port}"]
        if "--tls-cert" not in options and "--tls" not in options:
            self.arguments += ["--tls", "off"]
        self.arguments += options
        folder.mkdir(parents=True, exist_ok=True)
        if config:
            (folder / "hubgate.yaml").write_text(config)
            self.arguments += ["--config", str(folder / "hubgate.yaml")]
        if policy:
            (folder / "policy.yaml").write_text(policy)
            self.arguments += ["--policy", str(folder / "policy.yaml")]
        self.log = folder / "serve.log"
        self.start()

    def command(self, *words: str | Path) -> list[str]:
        """How a program is started where the gate is."""
        return [str(word) for word in words]

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command(HUBGATE, *self.arguments), stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                            env=self.environment)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                if self.admin("/readyz").status == 200:
                    return
            except OSError:
                time.sleep(0.05)
        self.stop()
        raise RuntimeError(f"the gate did not start: {self.log.read_text()[-2000:]}")

    def stop(self, how: int = signal.SIGTERM) -> None:
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def admin(self, path: str) -> Answer:
        return request(self.admin_port, "GET", path)

    def get(self, path: str, **options) -> Answer:
        return request(self.port, "GET", path, **options)

    def head(self, path: str, **options) -> Answer:
        return request(self.port, "HEAD", path, **options)

    def request(self, method: str, path: str, **options) -> Answer:
        return request(self.port, method, path, **options)

    def audit_lines(self) -> list[dict]:
        return [json.loads(line) for file in sorted((self.data / "audit").glob("*.jsonl"))
                for line in file.read_text().splitlines()]

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess:
        """A verb of hubgate on this gate's data."""
        return hubgate(*arguments, "--data", self.data)


def request(port: int, method: str, path: str, headers: dict | None = None, body: bytes | None = None,
            timeout: float = 60, token: str | None = "hf_alice") -> Answer:
    """One request as it stands: no redirect followed, the path not normalised."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        given = dict(headers or {})
        if token and "Authorization" not in given:
            given["Authorization"] = f"Bearer {token}"
        connection.putrequest(method, path, skip_accept_encoding=True)
        if body is not None:
            given.setdefault("Content-Length", str(len(body)))
        for name, value in given.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        response = connection.getresponse()
        try:
            return Answer(response.status, response.headers, response.read(), True)
        except http.client.IncompleteRead as partial:
            return Answer(response.status, response.headers, partial.partial, False)
        except ConnectionResetError:
            return Answer(response.status, response.headers, b"", False)
    finally:
        connection.close()
