"""An LFS server for the hook's tests: the batch API beside Git repositories, every layout of storage, and the faults of
servers that exist. Plain HTTP on loopback."""
from __future__ import annotations

import base64
import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from hub.locks import Locks

JSON = "application/vnd.git-lfs+json"

# Where servers keep an object below their root (git-servers: Gitea, Forgejo, GitLab and lfs-test-server; git-lfs and
# soft-serve; gogs).
LAYOUTS = {
    "rest": ("{a}/{b}/{rest}", "{root}/{0:2}/{2:4}/{4:}"),
    "full": ("{a}/{b}/{oid}", "{root}/{0:2}/{2:4}/{oid}"),
    "digits": ("{x}/{y}/{oid}", "{root}/{0}/{1}/{oid}"),
}


def place(root: Path, layout: str, oid: str) -> Path:
    return root / LAYOUTS[layout][0].format(a=oid[:2], b=oid[2:4], rest=oid[4:], oid=oid, x=oid[0], y=oid[1])


@dataclass
class Request:
    method: str
    path: str
    headers: dict
    body: bytes = b""


@dataclass
class LfsServer:
    """`root` may name the repository: "{repo}". `checks`: whether bytes are refused that are not what the oid says."""
    root: str
    layout: str = "rest"
    checks: bool = True
    authorization: str = ""  # needed, if not empty
    link: str = ""           # where links lead; "" = here
    redirect: str = ""       # what a GET of an object is answered with
    fault: str = ""          # "500", "403", "hang", "short", "large", "garbage", "silent"
    seen: list[Request] = field(default_factory=list)
    locks: Locks = field(default_factory=Locks)

    def __post_init__(self):
        server = self
        self.closing = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                server.handle(self, b"")

            def do_PUT(self):
                server.handle(self, self.rfile.read(int(self.headers.get("Content-Length", 0))))

            do_POST = do_PUT

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.port = self.http.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def stop(self):
        self.closing.set()
        self.http.shutdown()
        self.http.server_close()

    def path(self, repo: str, oid: str) -> Path:
        return place(Path(self.root.format(repo=repo)), self.layout, oid)

    def put(self, repo: str, data: bytes, oid: str = "") -> str:
        oid = oid or hashlib.sha256(data).hexdigest()
        path = self.path(repo, oid)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return oid

    def handle(self, request, body: bytes):
        self.seen.append(Request(request.command, request.path, dict(request.headers), body))
        repo, found, rest = request.path.lstrip("/").partition(".git/info/lfs/")
        if self.authorization and request.headers.get("Authorization") != self.authorization:
            return self.answer(request, 401, b"{}")
        if not found:
            return self.answer(request, 404, b"not here")
        if rest.startswith("locks"):
            path, _, query = rest.partition("?")
            scheme, _, word = (request.headers.get("Authorization") or "").partition(" ")
            user = base64.b64decode(word).decode().partition(":")[0] if scheme == "Basic" else ""
            status, value = self.locks.answer(repo, request.command, path[len("locks"):].strip("/"), query, body, user or "anonymous")
            return self.answer(request, status, json.dumps(value).encode())
        if rest == "objects/batch":
            return self.batch(request, repo, json.loads(body))
        if rest == "verify":
            wanted = json.loads(body)
            path = self.path(repo, wanted["oid"])
            return self.answer(request, 200 if path.exists() and path.stat().st_size == wanted["size"] else 404, b"{}")
        oid = rest.partition("objects/")[2][:64]
        if request.command == "PUT":
            if self.checks and hashlib.sha256(body).hexdigest() != oid:
                return self.answer(request, 422, b'{"message": "content hash does not match OID"}')
            self.put(repo, body, oid)
            return self.answer(request, 200, b"{}")
        return self.give(request, repo, oid)

    def batch(self, request, repo: str, wanted: dict):
        if self.fault in ("500", "403"):
            return self.answer(request, int(self.fault), b"{}")
        if self.fault == "garbage":
            return self.answer(request, 200, b"<html>Sign in</html>")
        if self.fault == "large":
            return self.answer(request, 200, b" " * (9 << 20))
        if self.fault == "silent":
            self.closing.wait(60)
            return None
        objects = []
        for item in wanted["objects"]:
            oid, there = item["oid"], self.path(repo, item["oid"]).exists()
            one = {"oid": oid, "size": item["size"], "authenticated": True}
            link = {"href": f"{self.link or self.url}/{repo}.git/info/lfs/objects/{oid}", "header": {"X-Wanted": "yes"}}
            if wanted["operation"] == "upload":
                if not there:
                    one["actions"] = {"upload": link, "verify": {"href": f"{self.link or self.url}/{repo}.git/info/lfs/verify"}}
            elif there:
                one["actions"] = {"download": link}
            else:
                one["error"] = {"code": 404, "message": "Object does not exist"}
            objects.append(one)
        return self.answer(request, 200, json.dumps({"transfer": "basic", "objects": objects}).encode())

    def give(self, request, repo: str, oid: str):
        path = self.path(repo, oid)
        if self.redirect:
            return self.answer(request, 302, b"", Location=f"{self.redirect}/{repo}.git/info/lfs/objects/{oid}")
        if not path.exists():
            return self.answer(request, 404, b"{}")
        data = path.read_bytes()
        if self.fault == "short":
            request.send_response(200)
            request.send_header("Content-Length", str(len(data) + 10))
            request.end_headers()
            request.wfile.write(data)
            request.close_connection = True
            return None
        return self.answer(request, 200, data)

    @staticmethod
    def answer(request, status: int, body: bytes, **headers):
        request.send_response(status)
        for name, value in {"Content-Type": JSON, "Content-Length": str(len(body)), **headers}.items():
            request.send_header(name, value)
        request.end_headers()
        try:
            request.wfile.write(body)
        except BrokenPipeError:
            pass
