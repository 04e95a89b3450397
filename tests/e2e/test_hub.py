"""The stand-in itself: what it offers, so that the gate's tests can fail for the right reason."""
from clients import Clients, tree_of


def test_an_unproxied_client_goes_for_xet(hub, tmp_path):
    clients = Clients(hub.url, tmp_path / "home")
    clients.hub_download("demo/clean", "model.safetensors", tmp_path / "out")
    assert any("xet-read-token" in record["path"] for record in hub.log())


def test_an_unproxied_client_meets_cdn_redirects_and_pages(hub, samples, tmp_path):
    clients = Clients(hub.url, tmp_path / "home", HF_HUB_DISABLE_XET="1")
    run = clients.python(f"""
        import huggingface_hub
        huggingface_hub.snapshot_download("demo/many", local_dir={str(tmp_path / "many")!r})
        huggingface_hub.snapshot_download("demo/poisoned-torch", local_dir={str(tmp_path / "out")!r})
    """)
    assert run.ok, run.output
    log = hub.log()
    assert any("cursor=" in record["path"] for record in log)
    assert any(record["role"] == "cdn" and "X-Amz-Signature" in record["path"] for record in log)
    assert any(record["status"] == 307 for record in log) and any(record["status"] == 302 for record in log)
    assert tree_of(tmp_path / "out")["pytorch_model.bin"] == samples["demo/poisoned-torch"]["pytorch_model.bin"]


def test_uploads_reach_an_unguarded_hub(hub, tmp_path):
    """Without a gate a push over the API works: a refusal in the gate's tests is the gate's."""
    clients = Clients(hub.url, tmp_path / "home", HF_HUB_DISABLE_XET="1")
    run = clients.python("""
        from huggingface_hub import HfApi
        api = HfApi()
        api.create_repo("alice/pushed")
        api.upload_file(path_or_fileobj=b"hello", path_in_repo="a.txt", repo_id="alice/pushed")
        api.upload_file(path_or_fileobj=b"weights" * 100, path_in_repo="w.bin", repo_id="alice/pushed")
        print(sorted(api.list_repo_files("alice/pushed")))
    """)
    assert run.ok and "'a.txt', 'w.bin'" in run.output, run.output
