"""Honest files come through byte-identical, with every client, and without Xet."""
import pytest

from clients import tree_of

XET = ("/_cas", "xet-read-token")


def with_attributes(files):
    from hub.store import ATTRIBUTES
    return {**files, ".gitattributes": ATTRIBUTES}


@pytest.fixture(autouse=True)
def no_xet(hub):
    """Xet is negotiated away: nothing about it reaches the upstream."""
    yield
    asked = [record["path"] for record in hub.log() if any(word in record["path"] for word in XET)]
    assert asked == []
    assert not any("xet-fileinfo" in record["headers"].get("accept", "") for record in hub.log())


@pytest.mark.parametrize("path", ["config.json", "README.md", "model.safetensors", "pytorch_model.bin", "vocabulary.pkl",
                                  "sub/folder/weights.npy", "sub/model.gguf"])
def test_hf_hub_download(clients, samples, tmp_path, path):
    run = clients.hub_download("demo/clean", path, tmp_path / "out")
    assert run.ok, run.output
    assert (tmp_path / "out").read_bytes() == samples["demo/clean"][path]


@pytest.mark.parametrize("path", ["model.safetensors", "honest.pkl"])
def test_hf_hub_download_of_a_large_file(clients, samples, tmp_path, path):
    run = clients.hub_download("demo/large", path, tmp_path / "out")
    assert run.ok, run.output
    assert (tmp_path / "out").read_bytes() == samples["demo/large"][path]


def test_snapshot_download(clients, samples, tmp_path):
    run = clients.python(f"""
        import huggingface_hub
        huggingface_hub.snapshot_download("demo/clean", local_dir={str(tmp_path / "out")!r})
    """)
    assert run.ok, run.output
    assert tree_of(tmp_path / "out") == with_attributes(samples["demo/clean"])


def test_snapshot_download_walks_all_pages(clients, samples, tmp_path):
    run = clients.python(f"""
        import huggingface_hub
        huggingface_hub.snapshot_download("demo/many", local_dir={str(tmp_path / "out")!r})
    """)
    assert run.ok, run.output
    assert tree_of(tmp_path / "out") == with_attributes(samples["demo/many"])


def test_hf_command(clients, samples, tmp_path):
    from clients import HF
    run = clients.run(HF, "download", "demo/clean", "--local-dir", tmp_path / "out")
    assert run.ok, run.output
    assert tree_of(tmp_path / "out") == with_attributes(samples["demo/clean"])


def test_hf_command_of_a_renamed_repository(clients, samples, tmp_path):
    from clients import HF
    run = clients.run(HF, "download", "demo/old-name", "model.safetensors", "--local-dir", tmp_path / "out")
    assert run.ok, run.output
    assert (tmp_path / "out/model.safetensors").read_bytes() == samples["demo/clean"]["model.safetensors"]


def test_hf_file_system(clients, samples, tmp_path):
    run = clients.python("""
        from huggingface_hub import HfFileSystem
        fs = HfFileSystem()
        with fs.open("demo/large/model.safetensors", block_size=1 << 20) as file:
            head = file.read(100)
            file.seek(7_000_001)
            middle = file.read(1000)
        with open("parts", "wb") as out:
            out.write(head + middle)
        fs.get_file("demo/clean/model.safetensors", "whole")
        print(sorted(fs.ls("demo/clean", detail=False)))
    """, cwd=tmp_path)
    assert run.ok, run.output
    large = samples["demo/large"]["model.safetensors"]
    assert (tmp_path / "parts").read_bytes() == large[:100] + large[7_000_001:7_001_001]
    assert (tmp_path / "whole").read_bytes() == samples["demo/clean"]["model.safetensors"]
    assert "demo/clean/sub" in run.output


def test_transformers(clients):
    run = clients.python("""
        from transformers import AutoConfig, AutoTokenizer
        print("hidden", AutoConfig.from_pretrained("demo/clean").hidden_size)
        print(AutoTokenizer.from_pretrained("demo/clean")("the gate stands")["input_ids"])
    """)
    assert run.ok, run.output
    assert "hidden 8" in run.output and "[2, 3, 4]" in run.output


def test_datasets(clients):
    run = clients.python("""
        import datasets
        data = datasets.load_dataset("demo/clean-data")
        print(data["train"].num_rows, data["test"].num_rows, data["train"][5])
    """)
    assert run.ok, run.output
    assert "100 1 {'id': 5, 'text': 'word 5', 'label': 1}" in run.output


def test_datasets_streaming(clients):
    run = clients.python("""
        import datasets
        data = datasets.load_dataset("demo/clean-data", split="train", streaming=True)
        print(sum(row["id"] for row in data))
    """)
    assert run.ok, run.output
    assert str(sum(range(100))) in run.output


@pytest.mark.parametrize("repo, path", [("demo/clean", "config.json"), ("demo/clean", "model.safetensors"),
                                        ("demo/clean", "pytorch_model.bin"), ("demo/large", "honest.pkl")])
def test_javascript_download_file(clients, samples, tmp_path, repo, path):
    run = clients.js_file(repo, path, tmp_path / "out")
    assert run.ok, run.output
    assert (tmp_path / "out").read_bytes() == samples[repo][path]


def test_javascript_snapshot(clients, samples, tmp_path):
    run = clients.js_snapshot("demo/clean", tmp_path / "cache")
    assert run.ok, run.output
    snapshot = next((tmp_path / "cache").glob("models--*/snapshots/*"))
    assert tree_of(snapshot) == with_attributes(samples["demo/clean"])


@pytest.mark.parametrize("repo, path", [("demo/clean", "config.json"), ("demo/clean", "model.safetensors"),
                                        ("demo/large", "honest.pkl")])
def test_rust_download_file(clients, samples, repo, path):
    from pathlib import Path
    run = clients.rust_file(repo, path)
    assert run.ok, run.output
    assert Path(run.output.strip()).read_bytes() == samples[repo][path]


def test_rust_snapshot(clients, samples):
    from pathlib import Path
    run = clients.rust_snapshot("demo/clean")
    assert run.ok, run.output
    assert tree_of(Path(run.output.strip())) == with_attributes(samples["demo/clean"])


@pytest.mark.parametrize("url", ["demo/clean/resolve/main/model.safetensors", "demo/clean/resolve/main/config.json",
                                 "demo/old-name/resolve/main/model.safetensors"])
def test_curl(clients, samples, tmp_path, url):
    run = clients.curl(url, tmp_path / "out")
    assert "status 200" in run.output, run.output
    assert (tmp_path / "out").read_bytes() == samples["demo/clean"][url.rsplit("/", 1)[1]]


def test_git_clone_with_lfs(clients, samples, tmp_path):
    run = clients.git_clone("demo/clean", tmp_path / "out")
    assert run.ok, run.output
    assert tree_of(tmp_path / "out") == with_attributes(samples["demo/clean"])
