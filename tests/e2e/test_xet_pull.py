"""Pulls over Xet, as huggingface_hub 2 makes them wherever hf_xet is installed, with a real CAS behind the hub."""
import base64
import json
import random
import time
from pathlib import Path

import pytest

from clients import CAS, Clients
from gate import Gate
from hub.client import RunningHub
from hub.samples import call, honest_items, large_pickle, pickle_of, safetensors

SYSTEM = call("os", "system", "echo hubgate-marker")
DATA = "/_cas/v1/fetch_term"
CONFIG = "xet: terminate\nlimits:\n  stall: 3s\n"
WEIGHTS = safetensors({"a": 700_000, "b": 300_000})
FILES = {
    "alice/honest": {
        "model.safetensors": WEIGHTS,
        "weights.pkl": pickle_of(honest_items(100_000)),
        "large.pkl": large_pickle(6),
        "small.pkl": pickle_of(honest_items(10)),
    },
    "alice/edited": {"model.safetensors": WEIGHTS[:2_000_000] + random.Random(3).randbytes(900) + WEIGHTS[2_000_900:]},
    "alice/poisoned": {"model.pkl": pickle_of(SYSTEM, 2)},
    "alice/poisoned-late": {"model.pkl": large_pickle(6, tail=SYSTEM)},
}


@pytest.fixture(scope="module")
def xet_hub(tmp_path_factory):
    folder = tmp_path_factory.mktemp("xet")
    hub = RunningHub(folder / "root", "--no-samples", "--cas", str(CAS))
    for repo, files in FILES.items():
        for path, data in files.items():
            (folder / repo).mkdir(parents=True, exist_ok=True)
            (folder / repo / path).write_bytes(data)
    done = Clients(hub.url, folder / "home").python(f"""
        import huggingface_hub
        api = huggingface_hub.HfApi()
        for repo in {list(FILES)!r}:
            api.create_repo(repo)
            api.upload_folder(repo_id=repo, folder_path={str(folder)!r} + "/" + repo)
    """)
    assert done.ok, done.output
    yield hub
    hub.stop()


@pytest.fixture
def hub(xet_hub):
    xet_hub.reset()
    yield xet_hub
    xet_hub.reset()


@pytest.fixture(scope="module")
def standing_gate(xet_hub, tmp_path_factory):
    gate = Gate(tmp_path_factory.mktemp("gate"), xet_hub.url, config=CONFIG)
    yield gate
    gate.stop()


def asked(hub, part: str) -> list[dict]:
    return [record for record in hub.log() if part in record["path"]]


def head_of(gate, repo: str, path: str):
    return gate.head(f"/{repo}/resolve/main/{path}", headers={"User-Agent": "unknown/None; hf_hub/2.4.0"})


def scans(gate) -> str:
    return next(line for line in gate.admin("/metrics").text.splitlines() if line.startswith("hubgate_scans_total"))


def token_of(gate, repo: str, path: str):
    """What a client does before it asks the CAS: HEAD, then the address for the token in it."""
    head = head_of(gate, repo, path)
    route = head.headers["X-Xet-Refresh-Route"]
    assert route.startswith(gate.url) and head.headers["X-Xet-Hash"], head.headers
    return head.headers["X-Xet-Hash"], gate.get(route.removeprefix(gate.url))


@pytest.mark.parametrize("repo, path", [(repo, path) for repo in ("alice/honest", "alice/edited") for path in FILES[repo]])
def test_a_file_comes_over_xet_byte_for_byte(hub, clients, tmp_path, repo, path):
    run = clients.hub_download(repo, path, tmp_path / "out")
    assert run.ok, run.output
    assert (tmp_path / "out").read_bytes() == FILES[repo][path]
    assert asked(hub, "/_cas/v2/reconstructions/") and not asked(hub, "/xet-bridge/")


def test_a_snapshot_comes_over_xet(hub, clients, tmp_path):
    run = clients.python(f"""
        import huggingface_hub
        huggingface_hub.snapshot_download("alice/honest", local_dir={str(tmp_path / "out")!r})
    """)
    assert run.ok, run.output
    for path, data in FILES["alice/honest"].items():
        assert (tmp_path / "out" / path).read_bytes() == data
    assert not asked(hub, "/xet-bridge/")


def test_the_second_person_waits_for_no_scan(hub, gate, make_clients, tmp_path):
    assert make_clients(gate).hub_download("alice/honest", "large.pkl", tmp_path / "one").ok
    before = scans(gate)
    hub.reset()
    run = make_clients(gate).hub_download("alice/honest", "large.pkl", tmp_path / "two")
    assert run.ok, run.output
    assert (tmp_path / "two").read_bytes() == FILES["alice/honest"]["large.pkl"]
    assert scans(gate) == before


@pytest.mark.parametrize("repo", ["alice/poisoned", "alice/poisoned-late"])
def test_poison_is_refused_in_words(hub, gate, clients, tmp_path, repo):
    run = clients.hub_download(repo, "model.pkl", tmp_path / "out")
    assert not run.ok and not (tmp_path / "out").exists()
    assert "hubgate: " in run.output and "os.system" in run.output, run.output
    assert not [path for path in (clients.home / "hf").rglob("*") if path.is_file() and SYSTEM in path.read_bytes()]
    assert any('"xet"' in json.dumps(line) for line in gate.audit_lines() if repo in json.dumps(line))


def test_what_is_blocked_on_another_road_is_blocked_here(hub, make_gate, make_clients, tmp_path):
    gate = make_gate(config=CONFIG)
    clients = make_clients(gate)
    clients.curl("alice/poisoned/resolve/main/model.pkl", tmp_path / "cut")
    hub.reset()
    run = clients.hub_download("alice/poisoned", "model.pkl", tmp_path / "out")
    assert not run.ok and "os.system" in run.output, run.output
    assert not asked(hub, "/_cas/")


def test_nothing_of_the_upstream_reaches_the_client(hub, gate):
    file, token = token_of(gate, "alice/honest", "small.pkl")
    assert token.status == 200, token.text
    value = json.loads(token.body)
    assert value["casUrl"].startswith(gate.url) and value["accessToken"] == token.headers["X-Xet-Access-Token"]
    path = value["casUrl"].removeprefix(gate.url)
    plan = gate.get(f"{path}/v2/reconstructions/{file}", token=value["accessToken"])
    assert plan.status == 200, plan.text
    for answer in (token, plan):
        assert "xet_" not in answer.everything and hub.url not in answer.everything and hub.cdn_url not in answer.everything
    for fetches in json.loads(plan.body)["xorbs"].values():
        for fetch in fetches:
            assert fetch["url"].startswith(gate.url)
            bytes_ = fetch["ranges"][0]["bytes"]
            got = gate.get(fetch["url"].removeprefix(gate.url), token=None,
                           headers={"Range": f"bytes={bytes_['start']}-{bytes_['end']}"})
            assert got.status == 206 and got.body[8:] == FILES["alice/honest"]["small.pkl"]


def test_ranges_of_a_file(gate):
    data = FILES["alice/honest"]["large.pkl"]
    file, token = token_of(gate, "alice/honest", "large.pkl")
    value = json.loads(token.body)
    path = f"{value['casUrl'].removeprefix(gate.url)}/v1/reconstructions/{file}"
    for first, last in ((0, 0), (131_071, 131_072), (1_000_000, 3_000_000), (len(data) - 5, len(data) + 100)):
        plan = gate.get(path, token=value["accessToken"], headers={"Range": f"bytes={first}-{last}"})
        answer = json.loads(plan.body)
        out = b""
        for term in answer["terms"]:
            fetch = answer["fetch_info"][term["hash"]][0]
            body = gate.get(fetch["url"].removeprefix(gate.url), token=None,
                            headers={"Range": f"bytes={fetch['url_range']['start']}-{fetch['url_range']['end']}"}).body
            while body:
                size = int.from_bytes(body[5:8], "little")
                out, body = out + body[8:8 + size], body[8 + size:]
        skip = answer["offset_into_first_range"]
        assert out[skip:skip + last - first + 1] == data[first:last + 1]
    past = gate.get(path, token=value["accessToken"], headers={"Range": f"bytes={len(data)}-{len(data) + 5}"})
    assert past.status == 416


def test_a_token_is_for_one_file(gate):
    file, token = token_of(gate, "alice/honest", "small.pkl")
    value = json.loads(token.body)
    path = value["casUrl"].removeprefix(gate.url)
    other = head_of(gate, "alice/honest", "weights.pkl").headers["X-Xet-Hash"]
    assert gate.get(f"{path}/v2/reconstructions/{other}", token=value["accessToken"]).status == 404
    assert gate.get(f"{path}/v2/reconstructions/{file}", token="xet_made_up").status == 401
    for call in (f"v1/xorbs/default/{file}", "v2/shards"):
        assert gate.request("POST", f"{path}/{call}", token=value["accessToken"], body=b"x").status == 404
    assert gate.get(f"{path}/v2/reconstructions/{file}", token=value["accessToken"][:-3] + "abc").status == 401
    assert gate.get(f"{path}/data/{'0' * 64}/0", token=None).status == 403


def test_a_token_of_a_whole_repository_is_refused_in_words(hub, gate):
    """Clients that cached a tree listing before the gate was there ask for one."""
    answer = gate.get("/api/models/alice/honest/xet-read-token/main")
    assert answer.status == 403 and "tree listings" in answer.headers["X-Error-Message"]
    assert not asked(hub, "xet-read-token")


def test_the_address_of_a_token_cannot_be_changed(gate):
    head = head_of(gate, "alice/honest", "small.pkl")
    route = head.headers["X-Xet-Refresh-Route"].removeprefix(gate.url)
    assert gate.get(route.replace("alice/honest", "alice/edited")).status == 403
    assert gate.get(route[:-4] + "AAAA").status == 403


def test_who_may_not_read_the_repository_gets_nothing(hub, gate):
    _, token = token_of(gate, "alice/honest", "small.pkl")
    assert token.status == 200
    hub.fault(path="*xet-read-token*", status=403, body="no")
    _, refused = token_of(gate, "alice/honest", "small.pkl")
    assert refused.status == 403 and "xet-access-token" not in str(refused.headers).lower()


def test_a_token_expires(hub, gate):
    file, _ = token_of(gate, "alice/honest", "small.pkl")
    life = {"casUrl": f"{hub.url}/_cas", "accessToken": "xet_short", "exp": int(time.time()) + 1}
    hub.fault(path="*xet-read-token*", replace_b64=base64.b64encode(json.dumps(life).encode()).decode())
    _, token = token_of(gate, "alice/honest", "small.pkl")
    value = json.loads(token.body)
    while time.time() <= life["exp"]:
        time.sleep(0.1)
    answer = gate.get(f"{value['casUrl'].removeprefix(gate.url)}/v2/reconstructions/{file}", token=value["accessToken"])
    assert answer.status == 401 and "expired" in answer.text


def test_a_cdn_that_swaps_a_byte_later_gives_an_error(hub, gate):
    """Asked by hand: hf_xet tries five times, which takes a minute and a half, and fails."""
    file, token = token_of(gate, "alice/honest", "large.pkl")
    value = json.loads(token.body)
    plan = gate.get(f"{value['casUrl'].removeprefix(gate.url)}/v2/reconstructions/{file}", token=value["accessToken"])
    url = next(iter(json.loads(plan.body)["xorbs"].values()))[0]["url"].removeprefix(gate.url)
    hub.fault(role="cdn", path=DATA, flip=70_000)
    answer = gate.get(url, token=None)
    assert answer.status == 403 and "than were scanned" in answer.headers["X-Error-Message"]
    assert any("served-bytes-differ" in json.dumps(line) for line in gate.audit_lines())
    hub.reset()
    assert gate.get(url, token=None).status == 200


def test_a_cdn_that_swaps_a_byte_at_first_is_asked_again(hub, make_gate, make_clients, tmp_path):
    gate = make_gate(config=CONFIG)
    hub.fault(role="cdn", path=DATA, flip=70_000, times=1)
    run = make_clients(gate).hub_download("alice/honest", "large.pkl", tmp_path / "out")
    assert run.ok, run.output
    assert (tmp_path / "out").read_bytes() == FILES["alice/honest"]["large.pkl"]


@pytest.mark.parametrize("fault", [{"stall_after": 100_000}, {"cut_after": 100_000}, {"status": 403}, {"status": 503}])
def test_a_cas_that_stalls_or_breaks_off_is_asked_again(hub, make_gate, make_clients, tmp_path, fault):
    gate = make_gate(config=CONFIG)
    hub.fault(role="cdn", path=DATA, times=1, **fault)
    run = make_clients(gate).hub_download("alice/honest", "large.pkl", tmp_path / "out")
    assert run.ok, run.output
    assert (tmp_path / "out").read_bytes() == FILES["alice/honest"]["large.pkl"]


def fetched(hub) -> int:
    """Requests for ranges of xorbs."""
    return len([record for record in hub.log() if record["path"].startswith(DATA)])


def test_the_gate_asks_the_cas_no_more_often_than_its_client_does(hub, make_gate, make_clients, tmp_path):
    direct = Clients(hub.url, tmp_path / "home").hub_download("alice/honest", "large.pkl", tmp_path / "direct")
    assert direct.ok, direct.output
    needed = fetched(hub)
    assert needed
    gate = make_gate(config=CONFIG)
    for name in ("first", "second", "after a restart", "without the list"):
        if name == "after a restart":
            gate.stop()
            gate.start()
        if name == "without the list":
            gate.stop()
            (chunks,) = (gate.data / "xet").iterdir()
            damaged = bytearray(chunks.read_bytes())
            damaged[60] ^= 1
            chunks.write_bytes(damaged)
            gate.start()
        hub.reset()
        run = make_clients(gate).hub_download("alice/honest", "large.pkl", tmp_path / name)
        assert run.ok, run.output
        assert (tmp_path / name).read_bytes() == FILES["alice/honest"]["large.pkl"]
        # A first pull is fetched once, and kept for who waits. Without the list it goes by blocks.
        assert fetched(hub) == needed or name == "without the list", name
    assert not list((gate.data / "xet").iterdir())


def test_a_cache_serves_the_second_pull(hub, make_gate, make_clients, tmp_path):
    gate = make_gate(config=CONFIG + "cache: {size: 1GiB}\n")
    data = FILES["alice/honest"]["large.pkl"]
    assert make_clients(gate).hub_download("alice/honest", "large.pkl", tmp_path / "one").ok
    hub.reset()
    run = make_clients(gate).hub_download("alice/honest", "large.pkl", tmp_path / "two")
    assert run.ok and (tmp_path / "two").read_bytes() == data, run.output
    assert not asked(hub, "/_cas/") and asked(hub, "xet-read-token")
    copy = max((gate.data / "cache/objects").rglob("*"), key=lambda path: path.stat().st_size)
    damaged = bytearray(data)
    damaged[3_000_000] ^= 1
    copy.chmod(0o600)
    copy.write_bytes(damaged)
    run = make_clients(gate).hub_download("alice/honest", "large.pkl", tmp_path / "three")
    assert run.ok and (tmp_path / "three").read_bytes() == data, run.output
    assert asked(hub, "/_cas/")


def test_an_id_that_names_other_bytes_is_refused(hub, make_gate, make_clients, tmp_path):
    """The hub says one sha256 and the id of another file."""
    gate = make_gate(config=CONFIG)
    other = head_of(gate, "alice/edited", "model.safetensors").headers["X-Xet-Hash"]
    hub.fault(path="/alice/honest/resolve/*/model.safetensors", headers={"X-Xet-Hash": other})
    run = make_clients(gate).hub_download("alice/honest", "model.safetensors", tmp_path / "out")
    assert not run.ok and "sha256" in run.output, run.output


def test_rust_takes_the_plain_road(hub, clients):
    run = clients.rust_file("alice/honest", "weights.pkl")
    assert run.ok, run.output
    assert Path(run.output.strip()).read_bytes() == FILES["alice/honest"]["weights.pkl"]
    assert not asked(hub, "/_cas/")


def test_strip_offers_nothing(hub, make_gate, make_clients, tmp_path):
    gate = make_gate()
    assert "X-Xet-Hash" not in head_of(gate, "alice/honest", "large.pkl").headers
    run = make_clients(gate).hub_download("alice/honest", "large.pkl", tmp_path / "out")
    assert run.ok, run.output
    assert asked(hub, "/xet-bridge/") and not asked(hub, "/_cas/")
