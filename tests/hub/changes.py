"""References and repositories over the hub's API: branches, tags, pull requests, copies, moves."""
from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Optional

from .store import Repository, git
from .wire import Reply, json_reply

if TYPE_CHECKING:
    from .server import HubHandler


def body_of(handler: "HubHandler") -> dict:
    data = handler.read_body()
    return json.loads(data) if data.strip() else {}


def repo_url(handler: "HubHandler", kind: str, name: str) -> str:
    return f"{handler.hub.url}/{'' if kind == 'models' else kind + '/'}{name}"


def no_revision(revision: str) -> Reply:
    return json_reply({"error": f"Invalid rev id: {revision}"}, 404, X_Error_Code="RevisionNotFound")


def change(handler: "HubHandler", repo: Repository, verb: str, rest: list[str], method: str) -> Optional[Reply]:
    """The answer to a changing request of /api/KIND/REPO/VERB/REST, or None if it is none of these."""
    body = body_of(handler)
    if verb in ("branch", "tag") and len(rest) == 1:
        return reference(handler, repo, verb, rest[0], method, body)
    if verb == "super-squash" and method == "POST" and len(rest) == 1:
        commit = repo.commit_of(rest[0])
        if not commit:
            return no_revision(rest[0])
        squashed = git(repo.path, "commit-tree", f"{commit}^{{tree}}", "-m", body.get("message") or "squash").decode().strip()
        git(repo.path, "update-ref", f"refs/heads/{rest[0]}", squashed)
        return Reply(200, {"Content-Type": "text/plain"}, b"OK")
    if verb == "discussions" and method == "POST":
        return discussion(handler, repo, rest, body)
    if verb == "duplicate" and method == "POST":
        return duplicate(handler, repo, body)
    if verb == "settings" and method == "PUT":
        repo.set_meta(private=body.get("visibility") == "private")
        return json_reply(body)
    if verb == "lfs-files" and rest == ["duplicate"] and method == "POST":
        return json_reply({"success": [item["sha256"] for item in body["files"]], "failed": []})
    return None


def reference(handler: "HubHandler", repo: Repository, verb: str, name: str, method: str, body: dict) -> Reply:
    space = "refs/heads" if verb == "branch" else "refs/tags"
    if method == "DELETE":
        if not repo.commit_of(f"{space}/{name}"):
            return no_revision(name)
        git(repo.path, "update-ref", "-d", f"{space}/{name}")
        return Reply(204)
    start, ref = (body.get("startingPoint") or "main", name) if verb == "branch" else (name, body["tag"])
    commit = repo.commit_of(start)
    if not commit:
        return no_revision(start)
    if repo.commit_of(f"{space}/{ref}") and not body.get("overwrite"):
        return json_reply({"error": f"Reference {ref} exists already"}, 409)
    git(repo.path, "update-ref", f"{space}/{ref}", commit)
    return Reply(201, {"Content-Type": "text/plain"}, b"Created")


def next_pull(repo: Repository) -> int:
    number = repo.meta.get("discussions", 0) + 1
    repo.set_meta(discussions=number)
    return number


def discussion(handler: "HubHandler", repo: Repository, rest: list[str], body: dict) -> Reply:
    if not rest:
        number = next_pull(repo)
        if body.get("pullRequest"):
            git(repo.path, "update-ref", f"refs/pr/{number}", repo.commit_of("main") or "")
        return json_reply({"num": number, "url": f"{repo_url(handler, repo.kind, repo.name)}/discussions/{number}"})
    if rest[1:] == ["merge"]:
        head = repo.commit_of(f"refs/pr/{rest[0]}")
        if not head:
            return no_revision(f"refs/pr/{rest[0]}")
        merged = git(repo.path, "commit-tree", f"{head}^{{tree}}", "-p", repo.commit_of("main") or head, "-p", head,
                     "-m", "merge").decode().strip()
        git(repo.path, "update-ref", "refs/heads/main", merged)
    return json_reply({name: {"id": "0" * 24, "type": "event", "createdAt": "2023-11-14T22:13:20.000Z", "author": {"name": "a"}}
                       for name in ("newMessage", "newTitle", "newStatus", "updatedComment")})


def duplicate(handler: "HubHandler", repo: Repository, body: dict) -> Reply:
    made = handler.hub.store.create(repo.kind, body["repository"])
    git(made.path, "fetch", "-q", str(repo.path), "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
    return json_reply({"url": repo_url(handler, repo.kind, made.name)})


def move(handler: "HubHandler", body: dict) -> Reply:
    kind, store = body["type"] + "s", handler.hub.store
    repo = store.repository(kind, body["fromRepo"])
    if not repo:
        return json_reply({"error": "Repository not found"}, 404, X_Error_Code="RepoNotFound")
    target = repo.path.parent.parent / f"{body['toRepo']}.git"
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(repo.path, target)
    store.open.pop((kind, repo.name), None)
    return json_reply({})


def delete(handler: "HubHandler", body: dict) -> Reply:
    kind, store = body.get("type", "model") + "s", handler.hub.store
    repo = store.repository(kind, f"{body['organization']}/{body['name']}")
    if not repo:
        return json_reply({"error": "Repository not found"}, 404, X_Error_Code="RepoNotFound")
    shutil.rmtree(repo.path)
    store.open.pop((kind, repo.name), None)
    return json_reply({})
