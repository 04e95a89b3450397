"""The tree verdict on a pull: what a revision's files say together decides over its weights."""
import threading

import pytest

from clients import tree_of

WEIGHTS = "model.safetensors"


def listings(hub):
    return [record for record in hub.log() if "/tree/" in record["path"]]


def test_a_clean_revision_passes_as_it_is(fresh_gate, make_clients, hub, samples, tmp_path):
    clients = make_clients(fresh_gate)
    for repo in ("demo/clean", "demo/own-code"):
        out = tmp_path / repo
        run = clients.python(f"""
            import huggingface_hub
            huggingface_hub.snapshot_download({repo!r}, local_dir={str(out)!r})
        """)
        assert run.ok, run.output
        got = tree_of(out)
        assert {name: got[name] for name in samples[repo]} == samples[repo]
        answer = fresh_gate.get(f"/{repo}/resolve/main/{WEIGHTS}")
        assert answer.status == 200 and answer.headers["X-HF-Warning"] is None, answer.headers


@pytest.mark.parametrize("path", [WEIGHTS, "torch.py"])
def test_weights_beside_a_shadowing_module_are_refused(fresh_gate, make_clients, samples, tmp_path, path):
    clients = make_clients(fresh_gate)
    first = clients.hub_download("demo/shadowed", WEIGHTS, tmp_path / "first")
    run = clients.hub_download("demo/shadowed", path, tmp_path / "out")
    for one in (first, run):
        assert not one.ok and "403" in one.output, one.output
        assert "hubgate: blocked" in one.output and "tree-shadow-module" in one.output and "torch.py" in one.output, one.output
        assert "waiver" in one.output
    assert not (tmp_path / "out").exists()
    assert samples["demo/shadowed"][WEIGHTS] not in tree_of(clients.home).values()
    assert clients.hub_download("demo/shadowed", "README.md", tmp_path / "readme").ok


def test_every_client_is_told(fresh_gate, make_clients, tmp_path):
    clients = make_clients(fresh_gate)
    for run in (clients.rust_file("demo/shadowed", WEIGHTS), clients.js_file("demo/shadowed", WEIGHTS, tmp_path / "js"),
                clients.curl(f"demo/shadowed/resolve/main/{WEIGHTS}", tmp_path / "curl")):
        assert "tree-shadow-module" in run.output or "tree-shadow-module" in (tmp_path / "curl").read_text(), run.output


def test_guarded_warns_of_code_elsewhere_and_strict_refuses(make_gate):
    guarded = make_gate().get(f"/demo/remote-code/resolve/main/{WEIGHTS}")
    assert guarded.status == 200
    assert "tree-remote-code" in guarded.headers["X-HF-Warning"]
    strict = make_gate("--policy", "strict").get(f"/demo/remote-code/resolve/main/{WEIGHTS}")
    assert strict.status == 403 and "tree-remote-code" in strict.headers["X-Error-Message"]


def test_a_policy_can_name_the_class(make_gate):
    gate = make_gate(policy="""
version: 1
name: no-code-elsewhere
rules:
  - {id: malicious, match: {severity: malicious}, action: block}
  - {id: elsewhere, match: {class: remote-code}, action: block, reason: code must be here}
  - {id: rest, action: allow}
""")
    answer = gate.get(f"/demo/remote-code/resolve/main/{WEIGHTS}")
    assert answer.status == 403 and "[policy rule elsewhere]" in answer.headers["X-Error-Message"]


def test_a_revision_is_judged_once(fresh_gate, hub):
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(fresh_gate.get(f"/demo/own-code/resolve/main/{WEIGHTS}").status))
               for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 8
    assert len(listings(hub)) == 1
    assert sum(record["path"].endswith("modeling_x.py") and record["method"] == "GET" for record in hub.log()) <= 2
    assert fresh_gate.get("/demo/own-code/resolve/main/README.md").status == 200
    assert len(listings(hub)) == 1


def test_all_pages_of_a_listing_are_read(fresh_gate, hub):
    assert fresh_gate.get("/demo/many/resolve/main/part/000.txt").status == 200
    assert len(listings(hub)) == 3


def test_code_is_fetched_ahead_of_nothing_else(fresh_gate, hub):
    """Configuration waits for nobody, code for the other code of its revision only."""
    assert fresh_gate.get("/demo/shadowed/resolve/main/config.json").status == 200
    assert listings(hub) == []


@pytest.mark.parametrize("path", [WEIGHTS, "mine.py"])
def test_code_that_is_split_over_files_is_refused(fresh_gate, path):
    """Also when the code itself is asked for first: it waits for what it does together with other code."""
    answer = fresh_gate.get(f"/demo/split-code/resolve/main/{path}")
    assert answer.status == 403, answer.headers
    said = answer.headers["X-Error-Message"]
    assert "python-execution" in said and "mine.py" in said, said
    assert fresh_gate.get("/demo/split-code/resolve/main/data.py").status == 200


def test_a_hub_without_listings_is_inconclusive(make_gate, hub):
    hub.fault(path="/api/models/*/tree/*", status=404, body="{}")
    guarded = make_gate().get(f"/demo/own-code/resolve/main/{WEIGHTS}")
    assert guarded.status == 200 and "listing" in guarded.headers["X-HF-Warning"]
    strict = make_gate("--policy", "strict").get(f"/demo/own-code/resolve/main/{WEIGHTS}")
    assert strict.status == 403 and "listing" in strict.headers["X-Error-Message"]


def test_code_that_can_not_be_read_is_a_gap(fresh_gate, hub):
    hub.fault(path="*/modeling_x.py", status=500, body="{}")
    answer = fresh_gate.get(f"/demo/own-code/resolve/main/{WEIGHTS}")
    assert answer.status == 403 and "modeling_x.py" in answer.headers["X-Error-Message"], answer.everything


def test_a_waiver_names_the_tree(fresh_gate):
    refused = fresh_gate.get(f"/demo/shadowed/resolve/main/{WEIGHTS}")
    assert refused.status == 403
    reference = refused.headers["X-Request-Id"]
    done = fresh_gate.run("waiver", "add", reference, "--reason", "a test")
    assert done.returncode == 0, done.stderr
    answer = fresh_gate.get(f"/demo/shadowed/resolve/main/{WEIGHTS}")
    assert answer.status == 200 and "waiver" in answer.headers["X-HF-Warning"]


def test_private_revisions_stay_private(fresh_gate):
    """A verdict that somebody else caused tells nothing to who may not read the repository."""
    assert fresh_gate.get(f"/demo/gated/resolve/main/{WEIGHTS}", headers={"Authorization": "Bearer hf_alice"}).status == 200
    assert fresh_gate.get(f"/demo/gated/resolve/main/{WEIGHTS}", headers={"Authorization": "Bearer hf_mallory"}).status == 403
