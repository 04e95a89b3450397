"""Clients that ask in the LFS batch whether they may use Xet: @huggingface/hub, hf-hub (Rust), huggingface_hub
before 1.10. With `xet: terminate` they may, in both directions."""
import json
import random
import uuid

import pytest

from hub.samples import call, honest_items, large_pickle, pickle_of, safetensors
from test_upload import create, sha, stored
from test_xet_push import clients, gate, hub, repo, requests, xet_hub  # noqa: F401


def weights() -> bytes:
    """1.2 MB that no hub has."""
    return safetensors({uuid.uuid4().hex: 300_000}, random.randrange(10**6))


def evil() -> bytes:
    """Too large for its sample to show it."""
    return large_pickle(2, call("os", "system", f"echo hubgate-marker {uuid.uuid4()}"))


@pytest.fixture
def files(tmp_path):
    made = {"w.safetensors": weights(), "w.pkl": pickle_of(honest_items(random.randrange(90_000, 99_000))),
            "config.json": b'{"model_type": "x"}\n', "evil.pkl": evil()}
    for name, data in made.items():
        (tmp_path / name).write_bytes(data)
    return made


def assert_arrived(hub, repo, files, *names):  # noqa: F811
    for name in names:
        assert stored(hub, repo, name) == files[name], name
    assert requests(hub, "/_cas/v1/xorbs/", "/shards")
    assert not [entry for entry in hub.log() if entry["method"] == "PUT"]


def assert_refused(hub, repo, run, *names):  # noqa: F811
    assert not run.ok and "hubgate: " in run.output and "os.system" in run.output, run.output
    assert not requests(hub, "/shards", "/commit/")
    for name in names:
        assert stored(hub, repo, name) is None


def test_rust(hub, clients, repo, files, tmp_path):  # noqa: F811
    names = ("w.safetensors", "w.pkl", "config.json")
    run = clients.rust_change("upload", repo, *(tmp_path / name for name in names))
    assert run.ok, run.output
    assert_arrived(hub, repo, files, *names)
    run = clients.rust_change("pull-request", repo, tmp_path / "w.pkl")
    assert run.ok, run.output
    run = clients.rust_change("delete", repo, "config.json")
    assert run.ok and stored(hub, repo, "config.json") is None, run.output
    hub.reset()
    assert_refused(hub, repo, clients.rust_change("upload", repo, tmp_path / "evil.pkl"), "evil.pkl")


def test_javascript(hub, clients, repo, files, tmp_path):  # noqa: F811
    names = ("w.safetensors", "w.pkl", "config.json")
    run = clients.js_upload(repo, *(tmp_path / name for name in names))
    assert run.ok, run.output
    assert_arrived(hub, repo, files, *names)
    hub.reset()
    assert_refused(hub, repo + "x", clients.js_upload(repo + "x", tmp_path / "evil.pkl"), "evil.pkl")
    for name in names[:2]:
        hub.reset()
        run = clients.js_file(repo, name, tmp_path / "out")
        assert run.ok, run.output
        assert (tmp_path / "out").read_bytes() == files[name]
        # Its bytes were judged when they came; now they come out of the CAS, in the gate's own cut.
        assert requests(hub, "/_cas/v2/reconstructions/") and requests(hub, "xet-read-token")


def test_javascript_is_told_why_a_file_is_refused(hub, gate, clients, repo, tmp_path):  # noqa: F811
    """It came to the hub by another way: the first who pulls it waits for the verdict."""
    data = evil()
    around = type(clients)(hub.url, tmp_path / "around")
    assert around.upload_folder(repo, {"w.pkl": data, "w.safetensors": weights()}, tmp_path / "up").ok
    run = clients.js_file(repo, "w.pkl", tmp_path / "out")
    assert not run.ok and "hubgate: " in run.output and "os.system" in run.output, run.output
    assert requests(hub, "/_cas/v2/reconstructions/")
    run = clients.js_file(repo, "w.safetensors", tmp_path / "out")
    assert run.ok, run.output
    assert (tmp_path / "out").read_bytes() == (tmp_path / "up/w.safetensors").read_bytes()


def test_older_python(hub, clients, repo, files, tmp_path):  # noqa: F811
    """Its CAS calls are those of the first version: one answer to the shard, reconstructions in another shape."""
    bad = files.pop("evil.pkl")
    run = clients.upload_folder(repo, files, tmp_path / "up", older=True)
    assert run.ok, run.output
    assert_arrived(hub, repo, files, *files)
    hub.reset()
    run = clients.hub_download(repo, "w.safetensors", tmp_path / "out", older=True)
    assert run.ok, run.output
    assert (tmp_path / "out").read_bytes() == files["w.safetensors"]
    assert requests(hub, "/reconstructions/")
    hub.reset()
    run = clients.upload_folder(repo, {"evil.pkl": bad}, tmp_path / "evil", older=True)
    assert not run.ok and not requests(hub, "/shards", "/commit/"), run.output
    # It shows no text of a CAS; when it is run again, the batch answer tells why.
    run = clients.upload_folder(repo, {"evil.pkl": bad}, tmp_path / "evil", older=True)
    assert_refused(hub, repo, run, "evil.pkl")


def ask(gate, repo, data, *transfers):  # noqa: F811
    body = json.dumps({"operation": "upload", "transfers": transfers, "objects": [{"oid": sha(data), "size": len(data)}]})
    answer = gate.request("POST", f"/{repo}.git/info/lfs/objects/batch", body=body.encode(),
                          headers={"Content-Type": "application/vnd.git-lfs+json"})
    assert answer.status == 200, answer.text
    return answer, json.loads(answer.body)


def test_what_git_xet_reads(hub, gate, repo):  # noqa: F811
    """The token stands in the action's fields: the gate's own, for the gate."""
    create(gate, repo)
    answer, batch_answer = ask(gate, repo, b"x" * 100, "basic", "xet")
    assert batch_answer["transfer"] == "xet"
    upload = batch_answer["objects"][0]["actions"]["upload"]
    assert "xet_" not in answer.everything and hub.url not in answer.everything
    assert upload["header"]["X-Xet-Cas-Url"].startswith(gate.url) and int(upload["header"]["X-Xet-Token-Expiration"])
    token = gate.get(upload["href"].removeprefix(gate.url))
    assert token.status == 200 and json.loads(token.body)["casUrl"] == upload["header"]["X-Xet-Cas-Url"]
    path = upload["header"]["X-Xet-Cas-Url"].removeprefix(gate.url)
    said = gate.request("POST", f"{path}/v2/shards", body=b"nothing", token=upload["header"]["X-Xet-Access-Token"])
    assert said.status == 200 and '"error"' in said.text


def test_who_does_not_offer_xet_gets_none(gate, repo):  # noqa: F811
    create(gate, repo)
    _, answer = ask(gate, repo, b"x" * 101, "basic")
    assert answer["transfer"] == "basic" and "/_hubgate/" in answer["objects"][0]["actions"]["upload"]["href"]


def test_strip_offers_none(hub, make_gate, repo):  # noqa: F811
    gate = make_gate(upstream=hub.url)  # noqa: F811
    create(gate, repo)
    _, answer = ask(gate, repo, b"x" * 102, "basic", "xet")
    assert answer["transfer"] == "basic" and "Xet" not in json.dumps(answer)


@pytest.mark.parametrize("href", ["https://elsewhere.example/api/models/{repo}/xet-write-token/main",
                                  "/api/models/someone/else/xet-write-token/main", "/api/models/{repo}/xet-read-token/main", "/x"])
def test_an_action_that_leads_elsewhere(hub, gate, repo, href):  # noqa: F811
    create(gate, repo)
    action = {"upload": {"href": href.format(repo=repo), "header": {}}}
    made_up = {"transfer": "xet", "objects": [{"oid": sha(b"x"), "size": 1, "actions": action}]}
    hub.fault(path="*/info/lfs/objects/batch", body=json.dumps(made_up), status=200)
    _, answer = ask(gate, repo, b"x", "basic", "xet")
    assert "actions" not in answer["objects"][0] and "hubgate: " in answer["objects"][0]["error"]["message"]


def test_a_token_of_a_cas_that_is_not_followed(hub, gate, repo):  # noqa: F811
    create(gate, repo)
    header = {"X-Xet-Cas-Url": "https://elsewhere.example", "X-Xet-Access-Token": "xet_1", "X-Xet-Token-Expiration": "9999999999"}
    action = {"upload": {"href": f"/api/models/{repo}/xet-write-token/main", "header": header}}
    made_up = {"transfer": "xet", "objects": [{"oid": sha(b"x"), "size": 1, "actions": action}]}
    hub.fault(path="*/info/lfs/objects/batch", body=json.dumps(made_up), status=200)
    answer, _ = ask(gate, repo, b"x", "basic", "xet")
    assert "elsewhere" not in answer.text and "error" in json.loads(answer.body)["objects"][0]
