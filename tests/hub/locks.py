"""File locks of Git LFS (git-lfs docs/api/locking.md), kept in memory."""
from __future__ import annotations

import itertools
import json
from urllib.parse import parse_qs


class Locks:
    """Of many repositories. `page`: locks in one answer."""

    def __init__(self, page: int = 100):
        self.page = page
        self.held: dict[str, dict[str, dict]] = {}
        self.ids = itertools.count(1)

    def answer(self, repo: str, method: str, rest: str, query: str, body: bytes, user: str) -> tuple[int, dict]:
        """`rest` is what stands behind "locks"."""
        held = self.held.setdefault(repo, {})
        asked = json.loads(body) if body else {}
        if method == "GET" and not rest:
            fields = {name: values[0] for name, values in parse_qs(query).items()}
            found = [lock for lock in held.values() if fields.get("path", lock["path"]) == lock["path"] and fields.get("id", lock["id"]) == lock["id"]]
            return 200, self.part(found, fields.get("cursor"), "locks")
        if rest == "verify":
            part = self.part(list(held.values()), asked.get("cursor"), "locks")
            locks = part.pop("locks")
            return 200, {"ours": [lock for lock in locks if lock["owner"]["name"] == user],
                         "theirs": [lock for lock in locks if lock["owner"]["name"] != user], **part}
        if not rest:
            taken = next((lock for lock in held.values() if lock["path"] == asked["path"]), None)
            if taken:
                return 409, {"lock": taken, "message": "already created lock", "documentation_url": "http://127.0.0.1:9/docs"}
            lock = {"id": str(next(self.ids)), "path": asked["path"], "locked_at": "2026-01-01T00:00:00Z", "owner": {"name": user},
                    "href": "http://127.0.0.1:9/lock"}
            held[lock["id"]] = lock
            return 201, {"lock": lock}
        lock = held.get(rest.partition("/")[0])
        if not lock:
            return 404, {"message": "there is no such lock"}
        if lock["owner"]["name"] != user and not asked.get("force"):
            return 403, {"message": "the lock is somebody else's"}
        return 200, {"lock": held.pop(lock["id"])}

    def part(self, locks: list[dict], cursor: str | None, name: str) -> dict:
        start = int(cursor or 0)
        out: dict = {name: locks[start:start + self.page]}
        if start + self.page < len(locks):
            out["next_cursor"] = str(start + self.page)
        return out
