"""Faults that tests switch on, and the log that tests read.

A fault is a JSON object: which requests (`path` glob without the query, `role` hub|cdn, `method`,
`skip` the first N, `times` at most N), and what happens to the answer:

    delay S             wait before the head            status N [, body TEXT]   answer this instead
    headers {..}        set headers                     drop_headers [..]        remove headers
    cut_after N         close after N body bytes        reset true               … with RST instead of FIN
    stall_after N       send nothing more after N body bytes, connection open
    rate N              bytes a second                  length N                 announce this Content-Length
    flip N              flip the bits of the file's byte N        encoding gzip            send it gzipped
    framing chunked|close                               replace_b64 TEXT         another body
"""
from __future__ import annotations

import fnmatch
import threading
import time


class Faults:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.rules: list[dict] = []

    def add(self, rule: dict) -> None:
        with self.lock:
            self.rules.append(dict(rule))

    def clear(self) -> None:
        with self.lock:
            self.rules.clear()

    def take(self, role: str, method: str, path: str) -> dict:
        """All that applies to this request, merged; uses up `skip` and `times`."""
        merged: dict = {}
        with self.lock:
            for rule in self.rules:
                if not fnmatch.fnmatch(path, rule.get("path", "*")):
                    continue
                if rule.get("role", role) != role or rule.get("method", method) != method:
                    continue
                if rule.get("skip", 0) > 0:
                    rule["skip"] -= 1
                    continue
                if "times" in rule:
                    if rule["times"] <= 0:
                        continue
                    rule["times"] -= 1
                merged.update(rule)
        return merged


class Log:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.records: list[dict] = []

    def begin(self, role: str, method: str, path: str, headers: dict) -> dict:
        record = {"role": role, "method": method, "path": path, "headers": headers, "time": time.time(),
                  "status": None, "received": 0, "sent": 0, "complete": False}
        with self.lock:
            self.records.append(record)
        return record

    def clear(self) -> None:
        with self.lock:
            self.records.clear()

    def snapshot(self) -> list[dict]:
        with self.lock:
            return [dict(record) for record in self.records]
