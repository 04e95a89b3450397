"""Pushes: LFS batch, uploads, and the hub API's preupload and commit."""
from __future__ import annotations

import base64
import hashlib
import json
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from . import changes, multipart, xet_write
from .store import LFS_SUFFIXES, Repository
from .wire import Reply, json_reply

if TYPE_CHECKING:
    from .server import HubHandler

LFS_JSON = "application/vnd.git-lfs+json"


def lfs_reply(value, status: int = 200) -> Reply:
    return Reply(status, {"Content-Type": LFS_JSON}, json.dumps(value).encode())


def lfs(handler: "HubHandler", repo: Repository, rest: list[str], method: str) -> Reply:
    """{repo}.git/info/lfs/…: batch, locks, verify."""
    if rest[:1] == ["locks"]:
        body = handler.read_body() if method == "POST" else b""
        status, value = handler.hub.locks.answer(repo.name, method, "/".join(rest[1:]), handler.query, body, handler.user() or "anonymous")
        return lfs_reply(value, status)
    if method != "POST":
        return lfs_reply({"message": "Not found"}, 404)
    request = json.loads(handler.read_body())
    if rest == ["verify"]:
        path = handler.hub.store.lfs_path(request["oid"])
        good = path.exists() and path.stat().st_size == request["size"]
        return lfs_reply({}) if good else lfs_reply({"message": "Object not found"}, 404)
    if rest == ["objects", "batch"]:
        offered = request.get("transfers", [])
        parts = "multipart" in offered
        if handler.hub.cas and "xet" in offered and request["operation"] == "upload":
            revision = request.get("ref", {}).get("name", "main").removeprefix("refs/heads/")
            return lfs_reply({"transfer": "xet", "hash_algo": "sha256", "objects": [
                xet_object(handler, repo, revision, item) for item in request["objects"]]})
        return lfs_reply({"transfer": "multipart" if parts and handler.hub.part_size else "basic", "hash_algo": "sha256",
                          "objects": [batch_object(handler, repo, request["operation"], item, parts) for item in request["objects"]]})
    return lfs_reply({"message": "Not found"}, 404)


def xet_object(handler: "HubHandler", repo: Repository, revision: str, item: dict) -> dict:
    """Where the token is had again, and one in the fields that git-xet reads."""
    if handler.hub.store.lfs_path(item["oid"]).exists():
        return {**item, "authenticated": True}
    token = xet_write.token_reply(handler, "write").headers
    header = {name: value for name, value in token.items() if name.startswith("X-Xet-")}
    href = f"{handler.hub.url}/api/{repo.kind}/{repo.name}/xet-write-token/{quote(revision, safe='')}"
    return {**item, "authenticated": True, "actions": {"upload": {"href": href, "header": header}}}


def batch_object(handler: "HubHandler", repo: Repository, operation: str, item: dict, parts: bool = False) -> dict:
    oid, size = item["oid"], item["size"]
    answer = {"oid": oid, "size": size, "authenticated": True}
    if not re.fullmatch(r"[0-9a-f]{64}", oid):
        return {**answer, "error": {"code": 422, "message": "Invalid oid"}}
    path = handler.hub.store.lfs_path(oid)
    href = handler.hub.sign(f"/lfs/{repo.kind}/{repo.name}/{oid}")
    if operation == "download":
        if not path.exists():
            return {**answer, "error": {"code": 404, "message": "Object does not exist on the server"}}
        return {**answer, "actions": {"download": {"href": href, "expires_in": 3600}}}
    if path.exists():
        return answer
    verify = f"{handler.hub.url}/{'' if repo.kind == 'models' else repo.kind + '/'}{repo.name}.git/info/lfs/verify"
    if parts and handler.hub.part_size and size > handler.hub.part_size:
        return {**answer, "actions": {"upload": multipart.begin(handler, oid, size), "verify": {"href": verify, "header": {}}}}
    return {**answer, "actions": {"upload": {"href": href, "header": {}}, "verify": {"href": verify, "header": {}}}}


def put_object(handler, oid: str) -> Reply:
    """A PUT to a signed link: kept only if the bytes are what the oid says."""
    digest = hashlib.sha256()
    store = handler.hub.store
    store.root.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=store.root, delete=False) as file:
        for piece in handler.body_pieces():
            digest.update(piece)
            file.write(piece)
    spool = Path(file.name)
    if digest.hexdigest() != oid:
        spool.unlink()
        return Reply(400, {"Content-Type": "application/xml"}, b"<Error><Code>XAmzContentSHA256Mismatch</Code></Error>")
    path = store.lfs_path(oid)
    path.parent.mkdir(parents=True, exist_ok=True)
    spool.rename(path)
    return Reply(200, {"ETag": f'"{oid[:32]}"'})


def create(handler: "HubHandler", request: dict) -> Reply:
    kind = request.get("type", "model") + "s"
    owner = request.get("organization") or handler.user()
    if not owner:
        return json_reply({"error": "Invalid username or password."}, 401)
    name = f"{owner}/{request['name'].split('/')[-1]}"
    url = f"{handler.hub.url}/{'' if kind == 'models' else kind + '/'}{name}"
    if handler.hub.store.repository(kind, name):
        return json_reply({"error": "You already created this repo", "url": url}, 409)
    made = handler.hub.store.create(kind, name)
    if request.get("files"):
        handler.hub.store.commit(made, {item["path"]: base64.b64decode(item["content"]) for item in request["files"]})
    return json_reply({"url": url, "name": name, "id": name})


def preupload(handler: "HubHandler", repo: Repository, _revision: str) -> Reply:
    files = json.loads(handler.read_body())["files"]
    return json_reply({"files": [
        {"path": item["path"], "shouldIgnore": False,
         "uploadMode": "lfs" if item["path"].endswith(LFS_SUFFIXES) or item["size"] > 10_000_000 else "regular"}
        for item in files]})


def commit(handler: "HubHandler", repo: Repository, revision: str) -> Reply:
    files, pointers, message = {}, {}, "Upload"
    for line in handler.read_body().splitlines():
        item = json.loads(line)
        value = item["value"]
        if item["key"] == "header":
            message = value["summary"]
        elif item["key"] == "file":
            files[value["path"]] = base64.b64decode(value["content"])
        elif item["key"] == "lfsFile":
            if not handler.hub.store.lfs_path(value["oid"]).exists() and not xet_write.materialize(handler, value["oid"]):
                return json_reply({"error": f"LFS object {value['oid']} is missing"}, 400)
            pointers[value["path"]] = (value["oid"], handler.hub.store.lfs_path(value["oid"]).stat().st_size)
        elif item["key"] in ("deletedFile", "deletedFolder", "deletedEntry"):
            files[value["path"].rstrip("/")] = None
    ref, pull = f"refs/heads/{revision}" if not revision.startswith("refs/") else revision, None
    start = repo.commit_of(revision)
    if "create_pr=1" in handler.query:
        pull = changes.next_pull(repo)
        ref = f"refs/pr/{pull}"
    sha = handler.hub.store.commit(repo, files, message, ref, pointers, start)
    url = f"{handler.hub.url}/{'' if repo.kind == 'models' else repo.kind + '/'}{repo.name}"
    answer = {"success": True, "commitOid": sha, "commitUrl": f"{url}/commit/{sha}", "hookOutput": ""}
    if pull:
        answer["pullRequestUrl"] = f"{url}/discussions/{pull}"
    return json_reply(answer)
