"""The two servers of the stand-in: the hub (API, resolve, Git, LFS) and the CDN."""
from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import ssl
import subprocess
import tempfile
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Optional
from urllib.parse import parse_qs, quote, unquote, urlencode

from . import changes, multipart, pages, upload, xet_write
from .faults import Faults, Log
from .locks import Locks
from .store import KINDS, Entry, Repository, Store
from .wire import Handler, Reply, Server, ProcessBody, json_reply, ranged, serve_in_thread

SECRET = b"hub stand-in"
XET_MEDIA_TYPE = "application/vnd.xet-fileinfo+json"
ALT_SVC = 'h3=":443"; ma=86400'
FILE_VERBS = ("resolve", "raw", "blob", "tree")
GIT_VERBS = ("info", "git-upload-pack", "git-receive-pack")


@dataclass
class Hub:
    store: Store
    port: int
    cdn_port: int
    page_size: int = 1000
    xet: bool = True
    resolve_cache: bool = True
    host: str = "127.0.0.1"
    tls: Optional[ssl.SSLContext] = None
    known_as: Optional[tuple[str, str]] = None  # URLs of hub and CDN as others reach them
    cas: Optional[xet_write.Cas] = None
    cas_direct: bool = False  # ranges of xorbs come from the CAS itself, unseen and undisturbed
    part_size: Optional[int] = None

    def __post_init__(self) -> None:
        self.faults = Faults()
        self.log = Log()
        self.locks = Locks()

    def start(self) -> None:
        for role, port, base in (("hub", self.port, HubHandler), ("cdn", self.cdn_port, CdnHandler)):
            handler = type(base.__name__, (base,), {"role": role, "hub": self})
            server = Server((self.host, port), handler)
            if self.tls:
                server.socket = self.tls.wrap_socket(server.socket, server_side=True)
            if role == "hub":
                self.port = server.server_address[1]
            else:
                self.cdn_port = server.server_address[1]
            serve_in_thread(server)

    @property
    def url(self) -> str:
        if self.known_as:
            return self.known_as[0]
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}"

    @property
    def cdn_url(self) -> str:
        if self.known_as:
            return self.known_as[1]
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.cdn_port}"

    def xet_hash(self, entry: Entry) -> Optional[str]:
        """With a CAS, only of what it holds; without one there is nothing behind it."""
        if self.cas:
            return self.cas.files.get(entry.lfs)
        return entry.xet_hash if self.xet else None

    def sign(self, path: str) -> str:
        """A link to the CDN that is good for an hour."""
        expires = str(int(time.time()) + 3600)
        signature = hmac.new(SECRET, f"{path}|{expires}".encode(), hashlib.sha256).hexdigest()
        query = urlencode({"X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Expires": expires,
                           "X-Amz-Signature": signature, "x-id": "GetObject"})
        return f"{self.cdn_url}{path}?{query}"


def signature_holds(path: str, query: str) -> bool:
    fields = parse_qs(query)
    expires = fields.get("X-Amz-Expires", ["0"])[0]
    wanted = hmac.new(SECRET, f"{path}|{expires}".encode(), hashlib.sha256).hexdigest()
    return fields.get("X-Amz-Signature") == [wanted] and int(expires) > time.time()


class CdnHandler(Handler):
    """Signed links to LFS objects. Like an object store, it wants no Authorization beside them."""

    def answer(self, method: str) -> Reply:
        if self.hub.cas and self.raw_path == xet_write.DATA:
            return xet_write.forward(self, method)
        if self.headers.get("Authorization"):
            return Reply(400, {"Content-Type": "application/xml"}, b"<Error><Code>InvalidArgument</Code></Error>")
        if not signature_holds(self.raw_path, self.query):
            return Reply(403, {"Content-Type": "application/xml"}, b"<Error><Code>AccessDenied</Code></Error>")
        oid = self.raw_path.rsplit("/", 1)[-1]
        path = self.hub.store.lfs_path(oid)
        if method == "HEAD":  # a link is signed for its method
            return Reply(403, {"Content-Type": "application/xml"}, b"<Error><Code>SignatureDoesNotMatch</Code></Error>")
        if self.raw_path.startswith("/parts/") and method == "PUT":
            return multipart.put_part(self)
        if method == "PUT":
            return upload.put_object(self, oid)
        if not path.exists():
            return Reply(404, {"Content-Type": "application/xml"}, b"<Error><Code>NoSuchKey</Code></Error>")
        headers = {"Content-Type": "application/octet-stream", "ETag": f'"{Entry("", "", "", 0, oid).xet_hash}"',
                   "Cache-Control": "public, max-age=31536000", "Content-Disposition": "inline"}
        return ranged(self.headers.get("Range"), headers, path, path.stat().st_size)


def error(status: int, code: str, message: str, **headers: str) -> Reply:
    return json_reply({"error": message}, status, X_Error_Code=code, X_Error_Message=message, **headers)


class HubHandler(Handler):
    def answer(self, method: str) -> Reply:
        parts = [unquote(part) for part in self.raw_path.split("/")[1:]]
        if parts and parts[-1] == "":
            parts.pop()
        if parts[:1] == ["api"]:
            return self.api(parts[1:], method)
        if parts[:1] == ["_cas"]:
            if self.hub.cas:
                return xet_write.forward(self, method)
            return json_reply({"error": "the stand-in has no Xet storage"}, 404)
        kind = parts.pop(0) if parts and parts[0] in KINDS else "models"
        for at in (2, 1):
            if len(parts) > at and parts[at] in FILE_VERBS + GIT_VERBS:
                name, verb, rest = "/".join(parts[:at]).removesuffix(".git"), parts[at], parts[at + 1:]
                if verb in GIT_VERBS:
                    return self.git(kind, name, [verb, *rest], method)
                return self.file(kind, name, verb, rest)
        name = "/".join(parts)
        if parts[:1] == ["front"] and parts[-1] in pages.PARTS:
            return Reply(200, {"Content-Type": pages.PARTS[parts[-1]][0], "Alt-Svc": ALT_SVC}, pages.PARTS[parts[-1]][1])
        if not parts or self.hub.store.repository(kind, name):
            return Reply(200, {"Content-Type": "text/html; charset=utf-8", "Alt-Svc": ALT_SVC, "Content-Security-Policy": "object-src 'none'"},
                         pages.page(name))
        return error(404, "RepoNotFound", "Repository not found")

    # who asks

    def user(self) -> Optional[str]:
        """Any token hf_NAME is the user NAME's."""
        scheme, _, value = (self.headers.get("Authorization") or "").partition(" ")
        if scheme == "Basic":
            value = base64.b64decode(value).decode().rpartition(":")[2]
        return value[3:] if value.startswith("hf_") else None

    def find(self, kind: str, name: str) -> Repository | Reply:
        """The repository if this user may read it, else what to answer."""
        repo = self.hub.store.repository(kind, name)
        if not repo:
            status = 404 if self.user() else 401
            return error(status, "RepoNotFound", "Repository not found" if self.user() else "Invalid username or password.")
        meta = repo.meta
        if "renamed_to" in meta:
            old, new = f"/{name}", f"/{meta['renamed_to']}"
            path = self.raw_path.replace(old, new, 1) + (f"?{self.query}" if self.query else "")
            return Reply(307, {"Location": path, "Content-Type": "text/plain"},
                         f"Temporary Redirect. Redirecting to {path}".encode())
        if meta.get("private") and not self.user():
            return error(401, "RepoNotFound", "Invalid username or password.")
        return repo

    def gate_of(self, repo: Repository) -> Optional[Reply]:
        """What a gated repository answers to a user who may not read its files."""
        allowed = repo.meta.get("gated")
        if allowed is None or self.user() in allowed:
            return None
        message = f"Access to {repo.kind.removesuffix('s')} {repo.name} is restricted and you are not in the authorized list."
        return error(403 if self.user() else 401, "GatedRepo", message)

    # files

    def file(self, kind: str, name: str, verb: str, rest: list[str]) -> Reply:
        repo = self.find(kind, name)
        if isinstance(repo, Reply):
            return repo
        if refusal := self.gate_of(repo):
            return refusal
        revision, path = (rest[0] if rest else "main"), "/".join(rest[1:])
        commit = repo.commit_of(revision)
        if not commit:
            return error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        entry = repo.tree(commit).get(path)
        if verb in ("blob", "tree"):
            return Reply(200, {"Content-Type": "text/html; charset=utf-8"}, b"<!doctype html><title>file</title>")
        if not entry or entry.kind != "file":
            return error(404, "EntryNotFound", "Entry not found", X_Repo_Commit=commit)
        if verb == "raw":
            return self.blob(repo, commit, entry, f'"{entry.oid}"')
        if entry.lfs:
            return self.linked(repo, commit, entry)
        if self.hub.resolve_cache:
            query = urlencode({self.raw_path: "", "etag": f'"{entry.oid}"'})
            where = f"/api/resolve-cache/{kind}/{name}/{commit}/{quote(path)}?{query}"
            return Reply(307, {"Location": where, "X-Repo-Commit": commit, "ETag": f'"{entry.oid}"',
                               "X-Linked-Size": str(entry.size), "Content-Type": "text/plain"},
                         f"Temporary Redirect. Redirecting to {where}".encode())
        return self.blob(repo, commit, entry, f'"{entry.oid}"')

    def blob(self, repo: Repository, commit: str, entry: Entry, etag: str) -> Reply:
        with tempfile.NamedTemporaryFile(delete=False) as file:
            file.write(repo.blob(entry.oid))
        headers = {"X-Repo-Commit": commit, "ETag": etag, "Content-Type": "text/plain; charset=utf-8",
                   "Content-Disposition": f"inline; filename=\"{entry.path.rsplit('/', 1)[-1]}\""}
        path = Path(file.name)
        reply = ranged(self.headers.get("Range"), headers, path, path.stat().st_size)
        reply.body = b"".join(reply.body.pieces()) if reply.status != 416 else b""
        path.unlink()
        return reply

    def linked(self, repo: Repository, commit: str, entry: Entry) -> Reply:
        """A large file: a redirect to the CDN, and the ways into Xet beside it."""
        headers = {"X-Repo-Commit": commit, "X-Linked-Size": str(entry.size), "X-Linked-ETag": f'"{entry.lfs}"',
                   "Accept-Ranges": "bytes"}
        xet_hash = self.hub.xet_hash(entry)
        if xet_hash:
            token = f"{self.hub.url}/api/{repo.kind}/{repo.name}/xet-read-token/{commit}"
            headers["X-Xet-Hash"] = xet_hash
            headers["X-Xet-Refresh-Route"] = token
            headers["Link"] = (f'<{token}>; rel="xet-auth", '
                               f'<{self.hub.url}/_cas/v1/reconstructions/{xet_hash}>; rel="xet-reconstruction-info"')
            if XET_MEDIA_TYPE in (self.headers.get("Accept") or ""):
                info = {"hash": xet_hash, "refreshUrl": token, "etag": f'"{entry.lfs}"', "size": entry.size}
                return Reply(200, {**headers, "Content-Type": XET_MEDIA_TYPE}, json.dumps(info).encode())
        where = self.hub.sign(f"/xet-bridge/{repo.kind}/{repo.name}/{entry.lfs}")
        headers.update({"Location": where, "Content-Type": "text/plain; charset=utf-8", "Vary": "Origin, Accept"})
        return Reply(302, headers, f"Found. Redirecting to {where}".encode())

    # API

    def api(self, parts: list[str], method: str) -> Reply:
        if parts[:1] == ["whoami-v2"]:
            user = self.user()
            if not user:
                return json_reply({"error": "Invalid username or password."}, 401)
            return json_reply({"type": "user", "id": user, "name": user, "fullname": user, "orgs": [],
                               "auth": {"type": "access_token", "accessToken": {"displayName": "t", "role": "write"}}})
        if parts[:2] == ["repos", "create"] and method == "POST":
            return upload.create(self, json.loads(self.read_body()))
        if parts[:1] == ["complete_multipart"] and method == "POST":
            return multipart.complete(self, parts[1])
        if parts == ["repos", "move"] and method == "POST":
            return changes.move(self, json.loads(self.read_body()))
        if parts == ["repos", "delete"] and method == "DELETE":
            return changes.delete(self, json.loads(self.read_body()))
        if parts[:1] == ["validate-yaml"]:
            return json_reply({"errors": [], "warnings": []})
        if parts[:1] == ["resolve-cache"] and len(parts) > 4:
            return self.resolve_cache(parts[1], parts[2:])
        if not parts or parts[0] not in KINDS:
            return json_reply({"error": "Sorry, we can't find the page you are looking for."}, 404)
        kind, rest = parts[0], parts[1:]
        if not rest:
            return json_reply([self.info(repo, None) for repo in self.hub.store.repositories(kind)])
        at = 1 if len(rest) == 1 or self.hub.store.repository(kind, rest[0]) else 2
        repo = self.find(kind, "/".join(rest[:at]))
        if isinstance(repo, Reply):
            return repo
        verb, rest = (rest[at:] or [""])[0], rest[at + 1:]
        if verb == "refs":
            return json_reply(self.refs(repo))
        if verb in ("preupload", "commit") and method == "POST":
            return getattr(upload, verb)(self, repo, rest[0] if rest else "main")
        if verb in ("xet-read-token", "xet-write-token") and self.hub.cas:
            return xet_write.token_reply(self, verb.split("-")[1])
        if method in ("POST", "PUT", "DELETE") and verb != "paths-info":
            if reply := changes.change(self, repo, verb, rest, method):
                return reply
        commit = repo.commit_of(rest[0] if rest else "main")
        if not commit and rest[:1] == ["HEAD"]:
            commit = repo.commit_of("main")
        if not commit:
            return error(404, "RevisionNotFound", f"Invalid rev id: {rest[0] if rest else 'main'}")
        if verb in ("", "revision"):
            return json_reply(self.info(repo, commit))
        if verb in ("xet-read-token", "xet-write-token"):
            return self.xet_token()
        if verb == "commits":
            return json_reply(self.commits(repo, commit))
        if verb == "tree":
            return self.tree(repo, commit, "/".join(rest[1:]))
        if verb == "paths-info" and method == "POST":
            return self.paths_info(repo, commit)
        return json_reply({"error": "Sorry, we can't find the page you are looking for."}, 404)

    def resolve_cache(self, kind: str, parts: list[str]) -> Reply:
        for at in (2, 1):
            repo = self.hub.store.repository(kind, "/".join(parts[:at]))
            if repo:
                break
        else:
            return error(404, "RepoNotFound", "Repository not found")
        checked = self.find(kind, repo.name)
        if isinstance(checked, Reply):
            return checked
        entry = repo.tree(parts[at]).get("/".join(parts[at + 1:]))
        if not entry:
            return error(404, "EntryNotFound", "Entry not found")
        return self.blob(repo, parts[at], entry, f'"{entry.oid}"')

    def info(self, repo: Repository, commit: Optional[str]) -> dict:
        meta = repo.meta
        commit = commit or repo.commit_of("main") or "0" * 40
        value = {"_id": commit[:24], "id": repo.name, "modelId": repo.name, "sha": commit,
                 "author": repo.name.split("/")[0], "private": bool(meta.get("private")),
                 "gated": "manual" if "gated" in meta else False, "disabled": False, "downloads": 0, "likes": 0,
                 "tags": [], "createdAt": "2023-11-14T22:13:20.000Z", "lastModified": "2023-11-14T22:13:20.000Z"}
        if "0" * 40 != commit:
            blobs = "blobs=true" in self.query.lower()
            value["siblings"] = [self.sibling(entry, blobs) for entry in repo.tree(commit).values() if entry.kind == "file"]
        return value

    @staticmethod
    def sibling(entry: Entry, blobs: bool) -> dict:
        value: dict = {"rfilename": entry.path}
        if blobs:
            value.update(size=entry.size, blobId=entry.oid)
            if entry.lfs:
                value["lfs"] = {"sha256": entry.lfs, "size": entry.size, "pointerSize": entry.pointer_size}
        return value

    def refs(self, repo: Repository) -> dict:
        lines = subprocess.run(["git", "-C", str(repo.path), "for-each-ref", "--format=%(refname) %(objectname)"],
                               capture_output=True, text=True, check=True).stdout.split("\n")
        value: dict = {"branches": [], "tags": [], "converts": [], "pullRequests": []}
        for line in filter(None, lines):
            ref, commit = line.split()
            if ref.startswith("refs/pr/"):
                value["pullRequests"].append({"name": ref.split("/")[2], "ref": ref, "targetCommit": commit})
                continue
            group = "branches" if ref.startswith("refs/heads/") else "tags"
            value[group].append({"name": ref.split("/", 2)[2], "ref": ref, "targetCommit": commit})
        return value

    def commits(self, repo: Repository, commit: str) -> list:
        lines = subprocess.run(["git", "-C", str(repo.path), "log", "--format=%H%x00%s%x00%an%x00%cI", commit],
                               capture_output=True, text=True, check=True).stdout.split("\n")
        rows = [line.split("\0") for line in lines if line]
        return [{"id": sha, "title": title, "message": "", "authors": [{"user": author}], "date": date}
                for sha, title, author, date in rows]

    def describe(self, repo: Repository, entry: Entry, expand: bool) -> dict:
        value: dict = {"type": entry.kind, "oid": entry.oid, "size": entry.size, "path": entry.path}
        if entry.lfs:
            value["lfs"] = {"oid": entry.lfs, "size": entry.size, "pointerSize": entry.pointer_size}
            if xet_hash := self.hub.xet_hash(entry):
                value["xetHash"] = xet_hash
        if expand:
            value["lastCommit"] = {"id": repo.commit_of("main"), "title": "Add files", "date": "2023-11-14T22:13:20.000Z"}
            value["securityFileStatus"] = {"status": "unscanned"}
        return value

    def tree(self, repo: Repository, commit: str, folder: str) -> Reply:
        fields = parse_qs(self.query)
        recursive, expand = (fields.get(name, ["false"])[0].lower() in ("true", "1") for name in ("recursive", "expand"))
        everything = repo.tree(commit)
        if folder and (folder not in everything or everything[folder].kind != "directory"):
            return error(404, "EntryNotFound", f'The path "{folder}" does not exist on "{commit}"')
        prefix = f"{folder}/" if folder else ""
        entries = [entry for path, entry in everything.items()
                   if path.startswith(prefix) and (recursive or "/" not in path[len(prefix):])]
        start = int(fields.get("cursor", ["0"])[0])
        limit = min(int(fields.get("limit", [str(self.hub.page_size)])[0]), self.hub.page_size)
        reply = json_reply([self.describe(repo, entry, expand) for entry in entries[start:start + limit]])
        if start + limit < len(entries):
            query = urlencode({**{name: values[0] for name, values in fields.items()}, "cursor": start + limit})
            reply.headers["Link"] = f'<{self.hub.url}{self.raw_path}?{query}>; rel="next"'
        return reply

    def paths_info(self, repo: Repository, commit: str) -> Reply:
        body = self.read_body()
        if (self.headers.get("Content-Type") or "").startswith("application/json"):
            fields = json.loads(body)
            paths, expand = fields["paths"], bool(fields.get("expand"))
        else:
            form = parse_qs(body.decode())
            paths, expand = form.get("paths", []), form.get("expand", ["false"])[0].lower() == "true"
        everything = repo.tree(commit)
        return json_reply([self.describe(repo, everything[path], expand) for path in paths if path in everything])

    def xet_token(self) -> Reply:
        url, token, expires = f"{self.hub.url}/_cas", "xet_" + uuid.uuid4().hex, int(time.time()) + 900
        return json_reply({"casUrl": url, "accessToken": token, "exp": expires}, X_Xet_Cas_Url=url,
                          X_Xet_Access_Token=token, X_Xet_Token_Expiration=str(expires))

    # Git

    def git(self, kind: str, name: str, rest: list[str], method: str) -> Reply:
        repo = self.find(kind, name)
        if isinstance(repo, Reply):
            if repo.status == 401:
                repo.headers["WWW-Authenticate"] = 'Basic realm="hub"'
            return repo
        if rest[:2] == ["info", "lfs"]:
            return upload.lfs(self, repo, rest[2:], method)
        body = tempfile.TemporaryFile()
        for piece in self.body_pieces():
            body.write(piece)
        body.seek(0)
        environment = {
            "PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": str(repo.path), "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*",
            "PATH_INFO": "/" + "/".join(rest), "REQUEST_METHOD": method, "QUERY_STRING": self.query,
            "CONTENT_TYPE": self.headers.get("Content-Type") or "", "REMOTE_ADDR": self.client_address[0],
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding") or "",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol") or "", "REMOTE_USER": self.user() or "",
        }
        process = subprocess.Popen(["git", "http-backend"], stdin=body, stdout=subprocess.PIPE, env=environment)
        assert process.stdout
        status, headers = 200, {}
        while line := process.stdout.readline().decode().strip():
            field, _, value = line.partition(": ")
            if field == "Status":
                status = int(value.split()[0])
            else:
                headers[field] = value
        return Reply(status, headers, ProcessBody(process))
