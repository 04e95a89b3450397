"""For tests: runs the stand-in as a process and talks to its control endpoint."""
from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent


class RunningHub:
    def __init__(self, root: Path, *options: str):
        self.process = subprocess.Popen([sys.executable, "-m", "hub", "--root", str(root), *options], cwd=TESTS,
                                        stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        words = self.process.stdout.readline().split()
        if len(words) != 4:
            raise RuntimeError(f"the hub did not start: {words}")
        self.url, self.cdn_url = words[1], words[3]

    def control(self, path: str, method: str = "GET", value=None):
        data = json.dumps(value).encode() if value is not None else None
        request = urllib.request.Request(f"{self.url}/_hub/{path}", data=data, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def fault(self, **rule) -> None:
        self.control("faults", "POST", rule)

    def log(self) -> list[dict]:
        return self.control("log")

    def reset(self) -> None:
        self.control("faults", "DELETE")
        self.control("log", "DELETE")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)
