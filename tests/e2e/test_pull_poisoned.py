"""Poisoned files are refused, and the person's own client prints why."""
import re

import pytest

from clients import HF, tree_of
from hub.samples import COMMAND

POISONED = [("demo/poisoned-pickle", "model.pkl"), ("demo/poisoned-torch", "pytorch_model.bin"),
            ("demo/poisoned-late", "model.pkl"), ("demo/poisoned-archive", "bundle.zip"),
            ("demo/poisoned-text-name", "notes.txt")]


def assert_refused(run, path):
    """The client failed and printed a reason that begins with hubgate: and names file and evidence."""
    assert not run.ok, run.output
    reason = re.search(r"hubgate: .*", run.output.replace("\n", " "))
    assert reason, run.output
    assert path.rsplit("/", 1)[-1] in reason.group(0), run.output
    assert "os.system" in reason.group(0), run.output
    assert "waiver" in reason.group(0), run.output


def assert_harmless(folder, samples, repo, path):
    """No file below the folder holds the poisoned bytes or the payload; refusals may quote it."""
    poisoned = samples[repo][path]
    for name, data in tree_of(folder).items():
        if name.startswith("gate") or data.startswith(b'{"error":"hubgate: '):
            continue
        assert data != poisoned, name
        assert COMMAND.encode() not in data, name


@pytest.mark.parametrize("repo, path", POISONED)
def test_hf_hub_download(clients, samples, tmp_path, repo, path):
    run = clients.hub_download(repo, path, tmp_path / "out")
    assert_refused(run, path)
    assert "403" in run.output
    assert not (tmp_path / "out").exists()
    assert_harmless(clients.home, samples, repo, path)


@pytest.mark.parametrize("repo, path", POISONED)
def test_first_pull_by_a_gate_that_knows_nothing(fresh_gate, make_clients, samples, tmp_path, repo, path):
    clients = make_clients(fresh_gate)
    run = clients.hub_download(repo, path, tmp_path / "out")
    assert_refused(run, path)
    assert_harmless(clients.home, samples, repo, path)


def test_snapshot_download(clients, samples, tmp_path):
    run = clients.python(f"""
        import huggingface_hub
        huggingface_hub.snapshot_download("demo/poisoned-torch", local_dir={str(tmp_path / "out")!r})
    """)
    assert_refused(run, "pytorch_model.bin")
    assert_harmless(tmp_path / "out", samples, "demo/poisoned-torch", "pytorch_model.bin")


def test_hf_command(clients, samples, tmp_path):
    run = clients.run(HF, "download", "demo/poisoned-pickle", "--local-dir", tmp_path / "out")
    assert_refused(run, "model.pkl")
    assert "Traceback" not in run.output
    assert_harmless(tmp_path / "out", samples, "demo/poisoned-pickle", "model.pkl")


def test_hf_file_system(clients):
    run = clients.python("""
        from huggingface_hub import HfFileSystem
        with HfFileSystem().open("demo/poisoned-pickle/model.pkl", block_size=64) as file:
            print("READ", file.read())
    """)
    assert_refused(run, "model.pkl")
    assert "READ" not in run.output.splitlines()[-1]


def test_transformers(clients):
    run = clients.python("""
        from transformers.utils import cached_file
        cached_file("demo/poisoned-torch", "pytorch_model.bin")
    """)
    assert_refused(run, "pytorch_model.bin")


def test_datasets(clients):
    run = clients.python("""
        import datasets
        print(datasets.load_dataset("demo/poisoned-data"))
    """)
    assert_refused(run, "test.csv")


@pytest.mark.parametrize("repo, path", POISONED)
def test_javascript(clients, samples, tmp_path, repo, path):
    run = clients.js_file(repo, path, tmp_path / "out")
    assert_refused(run, path)
    assert_harmless(tmp_path, samples, repo, path)


def test_javascript_snapshot(clients, samples, tmp_path):
    run = clients.js_snapshot("demo/poisoned-torch", tmp_path / "cache")
    assert_refused(run, "pytorch_model.bin")
    assert_harmless(tmp_path, samples, "demo/poisoned-torch", "pytorch_model.bin")


@pytest.mark.parametrize("repo, path", POISONED)
def test_rust(clients, samples, repo, path):
    run = clients.rust_file(repo, path)
    assert_refused(run, path)
    assert_harmless(clients.home, samples, repo, path)


def test_rust_snapshot(clients, samples):
    run = clients.rust_snapshot("demo/poisoned-torch")
    assert_refused(run, "pytorch_model.bin")
    assert_harmless(clients.home, samples, "demo/poisoned-torch", "pytorch_model.bin")


@pytest.mark.parametrize("repo, path", POISONED)
def test_curl(fresh_gate, make_clients, samples, tmp_path, repo, path):
    """First a gate that knows nothing (the transfer may be cut), then one that knows: 403 with the reason."""
    clients = make_clients(fresh_gate)
    url = f"{repo}/resolve/main/{path}"
    first = clients.curl(url, tmp_path / "first")
    assert not (first.ok and "status 200" in first.output), first.output
    assert_harmless(tmp_path, samples, repo, path)
    second = clients.curl(url, tmp_path / "second")
    assert "status 403" in second.output, second.output
    told = (tmp_path / "second").read_text()
    assert "hubgate: " in told and "os.system" in told


@pytest.mark.parametrize("repo, path", [("demo/poisoned-torch", "pytorch_model.bin"), ("demo/poisoned-late", "model.pkl")])
def test_git_lfs(clients, samples, tmp_path, repo, path):
    run = clients.git_clone(repo, tmp_path / "out", "-c", "lfs.transfer.maxretries=1")
    assert not run.ok, run.output
    assert "hubgate: " in run.output and "os.system" in run.output, run.output
    assert_harmless(tmp_path / "out", samples, repo, path)
    for folder in ("objects", "incomplete", "tmp"):
        assert_harmless(tmp_path / "out/.git/lfs" / folder, samples, repo, path)


def test_refusals_are_in_the_audit_log(gate, clients, tmp_path):
    clients.hub_download("demo/poisoned-pickle", "model.pkl", tmp_path / "out")
    lines = [line for line in gate.audit_lines() if line.get("repo") == "demo/poisoned-pickle" and line.get("path") == "model.pkl"]
    assert lines and all(line["decision"] in ("block", "quarantine") for line in lines)
