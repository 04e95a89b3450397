"""Pushes over Xet: tokens that say what they are for, and the CAS behind the hub.

The CAS is the real one that the clients' authors test against. It asks for no token and knows no
sha256; both are the hub's business, so everything goes through `/_cas` here, where it also shows
in the log and can be disturbed.
"""
from __future__ import annotations

import http.client
import struct
import subprocess
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Iterator, Optional
from urllib.parse import urlsplit

from .wire import CHUNK, Reply, json_reply

if TYPE_CHECKING:
    from .server import HubHandler

END = b"\xff" * 32
DATA = "/_cas/v1/fetch_term"  # on the CDN: where reconstructions say that ranges of xorbs are
PASSED = ("content-type", "range", "x-xet-session-id", "user-agent")


class Cas:
    """The server process; it ends with this one."""

    def __init__(self, program: Path, folder: Path):
        self.process = subprocess.Popen([program, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        self.url = self.process.stdout.readline().strip()
        self.tokens: dict[str, tuple[str, float]] = {}  # token -> read or write, when it expires
        self.files: dict[str, str] = {}                 # sha256 -> file id, of what was registered
        self.token_life = 900

    def token(self, purpose: str) -> tuple[str, int]:
        token, expires = "xet_" + uuid.uuid4().hex, int(time.time()) + self.token_life
        self.tokens[token] = (purpose, expires)
        return token, expires

    def may(self, authorization: Optional[str], purpose: str) -> bool:
        known, expires = self.tokens.get((authorization or "").removeprefix("Bearer "), ("", 0.0))
        return expires > time.time() and known in (purpose, "write")

    def content(self, sha256: str) -> Optional[bytes]:
        """A registered file, as the CAS puts it together."""
        if sha256 not in self.files:
            return None
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=120)
        connection.request("GET", f"/simulation/files/{self.files[sha256]}/data")
        answer = connection.getresponse()
        body = answer.read()
        return body if answer.status == 200 else None


def hash_text(raw: bytes) -> str:
    return "".join(f"{word:016x}" for word in struct.unpack("<4Q", raw))


def files_of(shard: bytes) -> Iterator[tuple[str, str]]:
    """(sha256, file id) of what a shard registers."""
    at = 48
    while (file_id := shard[at:at + 32]) != END:
        flags, terms = struct.unpack_from("<II", shard, at + 32)
        at += 48 * (1 + terms * (2 if flags >> 31 else 1))
        if flags >> 30 & 1:
            yield hash_text(shard[at:at + 32]), hash_text(file_id)
            at += 48


def token_reply(handler: "HubHandler", purpose: str) -> Reply:
    cas: Cas = handler.hub.cas
    token, expires = cas.token(purpose)
    url = f"{handler.hub.url}/_cas"
    return json_reply({"casUrl": url, "accessToken": token, "exp": expires}, X_Xet_Cas_Url=url,
                      X_Xet_Access_Token=token, X_Xet_Token_Expiration=str(expires))


def forward(handler: "HubHandler", method: str) -> Reply:
    """/_cas/…: what a token allows, passed on to the CAS."""
    cas: Cas = handler.hub.cas
    path = handler.raw_path.removeprefix("/_cas")
    needed = "write" if method in ("POST", "PUT") else "read"
    if handler.role == "hub" and not cas.may(handler.headers.get("Authorization"), needed):
        return json_reply({"error": "Unauthorized"}, 401)
    body = b"".join(handler.body_pieces())
    connection = http.client.HTTPConnection(urlsplit(cas.url).netloc, timeout=120)
    headers = {name: value for name, value in handler.headers.items() if name.lower() in PASSED}
    connection.request(method, path + (f"?{handler.query}" if handler.query else ""), body or None, headers)
    answer = connection.getresponse()
    data = answer.read()
    if answer.status == 200 and path in ("/v1/shards", "/v2/shards") and b'"error"' not in data[-CHUNK:]:
        cas.files.update(files_of(body))
    if "/reconstructions/" in path and not handler.hub.cas_direct:
        data = data.replace(cas.url.encode(), f"{handler.hub.cdn_url}/_cas".encode())
    return Reply(answer.status, {"Content-Type": answer.headers.get("Content-Type") or "application/octet-stream"}, data)


def materialize(handler: "HubHandler", oid: str) -> bool:
    """Puts a file that came over Xet beside the LFS objects; False when there is none."""
    cas: Optional[Cas] = handler.hub.cas
    content = cas.content(oid) if cas else None
    return content is not None and handler.hub.store.add_lfs(content)[0] == oid
