"""Headless Chromium behind a proxy, driven by the DevTools protocol over a pipe: JSON messages that end with NUL."""
from __future__ import annotations

import fcntl
import json
import os
import select
import subprocess
import time
from pathlib import Path


class Browser:
    """Trusts `authority` (PEM) by an NSS database of its own home, and nothing else beside its own roots."""

    def __init__(self, home: Path, proxy: str, authority: Path):
        store = f"sql:{home}/.pki/nssdb"
        (home / ".pki/nssdb").mkdir(parents=True)
        for command in (["-N", "--empty-password"], ["-A", "-n", "hubgate", "-t", "C,,", "-i", str(authority)]):
            subprocess.run(["certutil", "-d", store, *command], check=True, capture_output=True)
        self.downloads = home / "downloads"
        self.downloads.mkdir()
        to_browser, self.write = os.pipe()
        self.read, from_browser = os.pipe()
        ours = [fcntl.fcntl(fd, fcntl.F_DUPFD, 50) for fd in (to_browser, from_browser)]  # out of the way of 3 and 4
        command = ["chromium-headless-shell", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                   "--disable-background-networking", "--disable-component-update", f"--user-data-dir={home}/profile", f"--proxy-server={proxy}", "about:blank"]
        with (home / "chromium.log").open("wb") as log:
            self.process = subprocess.Popen(["bash", "-c", f'exec "$@" 3<&{ours[0]} 4>&{ours[1]} {ours[0]}<&- {ours[1]}>&-', "bash", *command], pass_fds=ours,
                                            env={"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8"},
                                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log)
        for fd in (to_browser, from_browser, *ours):
            os.close(fd)
        self.number, self.rest, self.events = 0, b"", []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = None
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.ask("Page.enable")
        self.ask("Network.enable")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait(20)
        os.close(self.write)
        os.close(self.read)

    def message(self, deadline: float) -> dict:
        while b"\0" not in self.rest:
            assert select.select([self.read], [], [], max(0, deadline - time.monotonic()))[0], "the browser is silent"
            piece = os.read(self.read, 1 << 16)
            assert piece, "the browser has ended"
            self.rest += piece
        text, _, self.rest = self.rest.partition(b"\0")
        return json.loads(text)

    def ask(self, method: str, **parameters) -> dict:
        self.number += 1
        request = {"id": self.number, "method": method, "params": parameters}
        if getattr(self, "session", None):
            request["sessionId"] = self.session
        os.write(self.write, json.dumps(request).encode() + b"\0")
        deadline = time.monotonic() + 60
        while True:
            answer = self.message(deadline)
            if answer.get("id") == self.number:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def wait_for(self, method: str, **wanted) -> dict:
        """The first event like this since go() or click(), its parameters."""
        deadline = time.monotonic() + 60
        while True:
            for event in self.events:
                if event["method"] == method and all(event["params"].get(key) == value for key, value in wanted.items()):
                    return event["params"]
            self.events.append(self.message(deadline))

    def go(self, url: str) -> dict:
        self.events.clear()
        answer = self.ask("Page.navigate", url=url)
        if "errorText" not in answer:
            self.wait_for("Page.loadEventFired")
        return answer

    def value(self, expression: str):
        return self.ask("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)["result"].get("value")
