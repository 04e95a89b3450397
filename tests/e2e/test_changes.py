"""A reference is not an object (law 5): branches, tags, merges, copies and moves pass only when all that
they name has a verdict, wherever its bytes came from. The changes themselves work for real clients."""
import base64
import hashlib
import json
import urllib.error
import urllib.request
import uuid

import pytest

from hub.samples import call, honest_items, pickle_of, safetensors

EVIL = pickle_of(call("os", "system", "echo hubgate-marker of another road"), 2)
GOOD = safetensors({"w": 3_000})
JSON = {"Content-Type": "application/json"}
NDJSON = {"Content-Type": "application/x-ndjson"}


class Around:
    """Somebody who reaches the hub without the gate."""

    def __init__(self, hub, repo: str):
        self.hub, self.repo = hub, repo

    def ask(self, method: str, path: str, value=None, data: bytes | None = None) -> tuple[int, bytes]:
        if value is not None:
            data = json.dumps(value).encode()
        request = urllib.request.Request(self.hub.url + path, data=data, method=method)
        request.add_unredirected_header("Authorization", "Bearer hf_alice")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as failed:
            return failed.code, failed.read()

    def create(self) -> None:
        owner, name = self.repo.split("/")
        assert self.ask("POST", "/api/repos/create", {"name": name, "organization": owner, "type": "model"})[0] == 200

    def put(self, data: bytes) -> str:
        oid = hashlib.sha256(data).hexdigest()
        asked = {"operation": "upload", "objects": [{"oid": oid, "size": len(data)}]}
        answer = json.loads(self.ask("POST", f"/{self.repo}.git/info/lfs/objects/batch", asked)[1])["objects"][0]
        if "actions" in answer:
            request = urllib.request.Request(answer["actions"]["upload"]["href"], data=data, method="PUT")
            urllib.request.urlopen(request, timeout=30).close()
        return oid

    def commit(self, files: dict[str, bytes], revision: str = "main", query: str = "") -> dict:
        lines = [{"key": "header", "value": {"summary": "x"}}]
        for path, data in files.items():
            if path.endswith((".pkl", ".safetensors", ".bin")):
                lines.append({"key": "lfsFile", "value": {"path": path, "algo": "sha256", "oid": self.put(data), "size": len(data)}})
            else:
                content = base64.b64encode(data).decode()
                lines.append({"key": "file", "value": {"path": path, "encoding": "base64", "content": content}})
        status, body = self.ask("POST", f"/api/models/{self.repo}/commit/{revision}{query}",
                                data="\n".join(map(json.dumps, lines)).encode())
        assert status == 200, body
        return json.loads(body)

    def refs(self) -> dict:
        return json.loads(self.ask("GET", f"/api/models/{self.repo}/refs")[1])

    def branches(self) -> set[str]:
        return {ref["name"] for ref in self.refs()["branches"]}

    def tags(self) -> set[str]:
        return {ref["name"] for ref in self.refs()["tags"]}

    def head(self, revision: str = "main") -> str:
        status, body = self.ask("GET", f"/api/models/{self.repo}/revision/{revision}")
        return json.loads(body)["sha"] if status == 200 else ""

    def has(self, path: str, revision: str = "main") -> bool:
        return self.ask("GET", f"/{self.repo}/resolve/{revision}/{path}")[0] == 200


@pytest.fixture
def around(hub):
    """A new repository with honest files in it."""
    made = Around(hub, f"alice/{uuid.uuid4().hex[:10]}")
    made.create()
    made.commit({"model.safetensors": GOOD, "weights.pkl": pickle_of(honest_items(1_000)), "config.json": b"{}\n"})
    return made


@pytest.fixture
def poisoned(around):
    """The same with poison that came by another road."""
    around.commit({"evil.pkl": EVIL})
    return around


def post(gate, path, value=None, method="POST"):
    body = json.dumps(value).encode() if value is not None else b""
    return gate.request(method, path, body=body, headers=JSON)


def forget(hub):
    hub.control("log", "DELETE")


def assert_refused(answer):
    assert answer.status == 403 and "hubgate: " in answer.text and "os.system" in answer.text, answer.everything


def changes(hub):
    """The changes that the hub heard of."""
    return [entry["path"] for entry in hub.log() if entry["method"] in ("POST", "PUT", "DELETE")]


def test_branches_and_tags_of_honest_files(hub, clients, around):
    run = clients.python(f"""
        import huggingface_hub
        api, repo = huggingface_hub.HfApi(), {around.repo!r}
        api.create_branch(repo, branch="next")
        api.create_branch(repo, branch="next", exist_ok=True)
        api.create_branch(repo, branch="older", revision="main")
        api.create_tag(repo, tag="v1", tag_message="one")
        api.create_tag(repo, tag="v2", revision="next")
        api.create_branch(repo, branch="gone")
        api.delete_branch(repo, branch="gone")
        api.create_tag(repo, tag="gone")
        api.delete_tag(repo, tag="gone")
        api.super_squash_history(repo, branch="older")
    """)
    assert run.ok, run.output
    assert around.branches() == {"main", "next", "older"} and around.tags() == {"v1", "v2"}
    assert around.head("next") == around.head() != around.head("older")


def test_names_with_slashes(hub, clients, gate, around):
    run = clients.python(f"""
        import os
        os.environ["HF_HUB_DISABLE_XET"] = "1"
        import huggingface_hub
        api, repo = huggingface_hub.HfApi(), {around.repo!r}
        api.create_branch(repo, branch="feature/x")
        add = huggingface_hub.CommitOperationAdd("sub/notes.md", b"# of a branch\\n")
        api.create_commit(repo, [add], commit_message="x", revision="feature/x")
        api.create_tag(repo, tag="v/1", revision="feature/x")
        for revision in ("feature/x", "v/1"):
            assert open(huggingface_hub.hf_hub_download(repo, "sub/notes.md", revision=revision)).read() == "# of a branch\\n"
        assert "sub/notes.md" in api.list_repo_files(repo, revision="feature/x")
        api.delete_tag(repo, tag="v/1")
        api.delete_branch(repo, branch="feature/x")
        api.create_branch(repo, branch="team/next")
    """)
    assert run.ok, run.output
    assert around.branches() == {"main", "team/next"} and around.tags() == set()
    config = f"/{around.repo}/resolve/team%2Fnext/config.json"
    assert gate.get(config).body == b"{}\n" and gate.get(config.replace("%2F", "%2f")).status == 200
    # Without its encoding the slash begins the path, on the hub as here.
    raw = gate.get(f"/{around.repo}/resolve/team/next/config.json")
    assert raw.status == 404 and raw.headers["X-Error-Code"] == "RevisionNotFound"
    assert gate.get(f"/{around.repo}/resolve/team%2F..%2Fmain/config.json").status == 400
    around.commit({"evil.pkl": EVIL}, revision="team%2Fnext")
    refused = gate.get(f"/{around.repo}/resolve/team%2Fnext/evil.pkl")
    assert refused.status == 403 and "os.system" in refused.text, refused.everything


@pytest.mark.parametrize("path, value", [
    ("branch/next", {}), ("branch/next", {"startingPoint": "main"}), ("branch/next", {"startingPoint": "main", "overwrite": True}),
    ("tag/main", {"tag": "v1"}), ("super-squash/main", {}), ("discussions", {"title": "x", "description": "x", "pullRequest": True}),
])
def test_no_new_reference_names_poison(hub, gate, poisoned, path, value):
    before = poisoned.refs()
    forget(hub)
    assert_refused(post(gate, f"/api/models/{poisoned.repo}/{path}", value))
    assert poisoned.refs() == before
    assert not any(path in heard for heard in changes(hub))


def test_the_person_reads_why(clients, poisoned):
    run = clients.python(f"import huggingface_hub; huggingface_hub.HfApi().create_tag({poisoned.repo!r}, tag='v1')")
    assert not run.ok and "hubgate: " in run.output and "evil.pkl" in run.output and "os.system" in run.output, run.output


def test_an_older_commit_can_be_named(gate, around):
    clean = around.head()
    around.commit({"evil.pkl": EVIL})
    assert post(gate, f"/api/models/{around.repo}/branch/before", {"startingPoint": clean}).status == 201
    assert_refused(post(gate, f"/api/models/{around.repo}/branch/after", {}))
    assert around.branches() == {"main", "before"} and around.head("before") == clean


def test_the_hub_hears_the_commit_that_was_judged(hub, gate, around):
    commit = around.head()
    assert post(gate, f"/api/models/{around.repo}/tag/main", {"tag": "v1"}).status == 201
    assert f"/api/models/{around.repo}/tag/{commit}" in changes(hub)


def test_an_empty_branch_names_nothing(gate, poisoned):
    assert post(gate, f"/api/models/{poisoned.repo}/branch/empty", {"emptyBranch": True}).status == 201


def test_a_pull_request_is_merged_when_its_files_pass(hub, clients, around):
    run = clients.python(f"""
        import huggingface_hub
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete
        api, repo = huggingface_hub.HfApi(), {around.repo!r}
        done = api.create_commit(repo, [CommitOperationAdd("new.txt", b"text\\n"), CommitOperationDelete("config.json")],
                                 commit_message="x", create_pr=True)
        number = int(done.pr_url.rsplit("/", 1)[1])
        api.comment_discussion(repo, number, "a comment")
        api.rename_discussion(repo, number, "another title")
        api.create_commit(repo, [CommitOperationAdd("more.txt", b"text\\n")], commit_message="x", revision=f"refs/pr/{{number}}")
        api.merge_pull_request(repo, number, comment="well")
        api.change_discussion_status(repo, number, "closed")
    """, HF_HUB_DISABLE_XET="1")
    assert run.ok, run.output
    assert around.has("new.txt") and around.has("more.txt") and not around.has("config.json")


def test_a_poisoned_pull_request_is_not_merged(hub, gate, around):
    pull = around.commit({"evil.pkl": EVIL}, query="?create_pr=1")["pullRequestUrl"].rsplit("/", 1)[1]
    assert_refused(post(gate, f"/api/models/{around.repo}/discussions/{pull}/merge"))
    assert not around.has("evil.pkl") and not any("merge" in path for path in changes(hub))


def test_a_duplicate_of_honest_files(hub, clients, around):
    to = around.repo + "-copy"
    run = clients.python(f"""
        import huggingface_hub
        api = huggingface_hub.HfApi()
        print(api.duplicate_repo({around.repo!r}, {to!r}))
        api.move_repo({to!r}, {to + "2"!r})
        api.delete_repo({around.repo!r})
    """)
    assert run.ok, run.output
    assert Around(hub, to + "2").has("model.safetensors") and not around.has("model.safetensors")


@pytest.mark.parametrize("where", ["main", "branch"])
def test_no_copy_and_no_move_of_poison(hub, gate, around, where):
    if where == "branch":
        around.ask("POST", f"/api/models/{around.repo}/branch/next", {})
        around.commit({"evil.pkl": EVIL}, "next")
    else:
        around.commit({"evil.pkl": EVIL})
    to = around.repo + "-copy"
    assert_refused(post(gate, f"/api/models/{around.repo}/duplicate", {"repository": to}))
    assert_refused(post(gate, "/api/repos/move", {"fromRepo": around.repo, "toRepo": to, "type": "model"}))
    assert not Around(hub, to).has("model.safetensors")


def test_a_repository_does_not_begin_with_poison(hub, gate):
    name = uuid.uuid4().hex[:10]

    def create(path, data):
        files = [{"path": path, "encoding": "base64", "content": base64.b64encode(data).decode()}]
        return post(gate, "/api/repos/create", {"name": name, "organization": "alice", "type": "model", "files": files})

    assert_refused(create("evil.pkl", EVIL))
    assert not any("create" in path for path in changes(hub))
    assert create("README.md", b"# x\n").status == 200
    assert Around(hub, f"alice/{name}").has("README.md")


def test_what_a_change_may_say_is_known(hub, gate, around):
    forget(hub)
    api = f"/api/models/{around.repo}"
    assert post(gate, f"{api}/duplicate", {"repository": "alice/x", "volumes": []}).status == 403
    assert post(gate, f"{api}/duplicate", {"repository": "../x"}).status == 403
    assert post(gate, f"{api}/discussions/1/comment", {"comment": {"a": 1}}).status == 403
    assert post(gate, f"{api}/lfs-files/batch", {"deletions": {"sha": []}, "copies": []}).status == 403
    assert gate.request("POST", f"{api}/tag/main", body=b"[]", headers=JSON).status == 403
    for method, path in [("POST", f"{api}/import"), ("POST", "/uploads"), ("PUT", f"{api}/volumes"), ("PATCH", f"{api}/branch/x"),
                         ("POST", f"{api}/branch"), ("POST", f"{api}/discussions/x/merge"), ("POST", "/api/buckets/a/b/batch"),
                         ("POST", f"{api}/lfs-files"), ("POST", "/api/repos/import"), ("DELETE", api)]:
        answer = gate.request(method, path, body=b"{}", headers=JSON)
        assert answer.status == 403 and "hubgate: " in answer.text, (method, path)
    assert changes(hub) == []


def test_a_copy_of_objects_names_what_was_judged(hub, gate, poisoned):
    oid = {data: hashlib.sha256(data).hexdigest() for data in (GOOD, EVIL)}

    def copy(*wanted):
        files = [{"sha256": sha, "xetHash": "0" * 64, "filename": "x"} for sha in wanted]
        return post(gate, f"/api/models/{poisoned.repo}/lfs-files/duplicate", {"target": {"type": "model", "name": "alice/y"}, "files": files})

    assert_refused(copy(oid[GOOD], oid[EVIL]))
    assert copy("1" * 64).status == 403
    assert not any("duplicate" in path for path in changes(hub))
    assert copy(oid[GOOD]).status == 200


def test_a_copy_on_the_server(hub, clients, make_gate, make_clients, around):
    """huggingface_hub names the object without its size."""
    run = make_clients(make_gate()).python(f"""
        import huggingface_hub
        from huggingface_hub import CommitOperationCopy
        api, repo = huggingface_hub.HfApi(), {around.repo!r}
        api.create_commit(repo, [CommitOperationCopy("model.safetensors", "sub/copy.safetensors"),
                                 CommitOperationCopy("config.json", "sub/config.json")], commit_message="x")
    """, HF_HUB_DISABLE_XET="1")
    assert run.ok, run.output
    assert around.has("sub/copy.safetensors") and around.has("sub/config.json")


def test_no_copy_of_poison_on_the_server(hub, fresh_gate, poisoned):
    oid = hashlib.sha256(EVIL).hexdigest()
    lines = [{"key": "header", "value": {"summary": "x"}}, {"key": "lfsFile", "value": {"path": "a.bin", "algo": "sha256", "oid": oid}}]
    body = "\n".join(map(json.dumps, lines)).encode()
    assert_refused(fresh_gate.request("POST", f"/api/models/{poisoned.repo}/commit/main", body=body, headers=NDJSON))
    lines[1]["value"]["oid"] = "1" * 64
    body = "\n".join(map(json.dumps, lines)).encode()
    answer = fresh_gate.request("POST", f"/api/models/{poisoned.repo}/commit/main", body=body, headers=NDJSON)
    assert answer.status == 403 and "known to the gate" in answer.text, answer.text
    assert not poisoned.has("a.bin")
