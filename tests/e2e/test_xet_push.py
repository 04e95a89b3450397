"""Pushes over Xet, the road of today's default client: huggingface_hub 2 with hf_xet, against a real CAS."""
import hashlib
import random
import urllib.error
import urllib.request
import uuid

import pytest

from clients import CAS, Clients
from hub.client import RunningHub
from hub.samples import call, honest_items, pickle_of, safetensors

EVIL = pickle_of(call("os", "system", "echo hubgate-marker"), 2)


@pytest.fixture(scope="module")
def xet_hub(tmp_path_factory):
    hub = RunningHub(tmp_path_factory.mktemp("xet") / "root", "--no-samples", "--cas", str(CAS))
    yield hub
    hub.stop()


@pytest.fixture
def hub(xet_hub):
    xet_hub.reset()
    return xet_hub


@pytest.fixture
def repo():
    return f"alice/{uuid.uuid4().hex[:10]}"


def upload(clients, repo, files: dict[str, bytes], folder, **options):
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return clients.python(f"""
        import huggingface_hub
        api = huggingface_hub.HfApi()
        api.create_repo({repo!r}, exist_ok=True)
        api.upload_folder(repo_id={repo!r}, folder_path={str(folder)!r})
    """, **options)


def stored(hub, repo, path) -> bytes | None:
    """What the hub itself gives, around the gate."""
    request = urllib.request.Request(f"{hub.url}/{repo}/resolve/main/{path}")
    request.add_unredirected_header("Authorization", "Bearer hf_alice")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read()
    except urllib.error.HTTPError:
        return None


HONEST = {
    "config.json": b'{"model_type": "x"}\n',
    "model.safetensors": safetensors({"w": 290_000}),
    "weights.pkl": pickle_of(honest_items(100_000)),
}


def test_the_stand_in_takes_xet_without_a_gate(hub, repo, tmp_path):
    run = upload(Clients(hub.url, tmp_path / "home"), repo, {"w.safetensors": HONEST["model.safetensors"]}, tmp_path / "up")
    assert run.ok, run.output
    assert stored(hub, repo, "w.safetensors") == HONEST["model.safetensors"]
    assert any(entry["path"] == "/_cas/v2/shards" for entry in hub.log())
    assert not any(entry["method"] == "PUT" for entry in hub.log())
