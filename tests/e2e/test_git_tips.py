"""The tree verdict of pushes over HTTP: what shows only across the files of a pushed tip."""
import json

from git_web import BASE, fill, url
from git_web import gate, server, start, web, work  # noqa: F401 (fixtures)
from hub.samples import safetensors

SHADOW = b'print("hubgate-inert-marker")\n'
TRAIN = b"import torch\n\nprint(torch.__version__)\n"
SPLIT_SOURCE = b"import requests\n\n\ndef fetch():\n    return requests.get('http://127.0.0.1:9/x', timeout=1).text\n"


def assert_refused(done, *words: str) -> None:
    assert done.returncode != 0
    for word in ("remote rejected", *words):
        assert word in done.stderr, done.stderr


def test_files_of_one_push_together(gate, web, server, work):
    commit = work.commit({**BASE, "torch.py": SHADOW, "train.py": TRAIN})
    assert_refused(work.run("push", url(gate, web, server), "main"), "torch.py", "tree-shadow-module", "refs/heads/main", commit[:8])
    assert server.objects() == set()
    (work.folder / "torch.py").unlink()
    work.commit({})
    done = work.run("push", url(gate, web, server), "main~1:refs/heads/bad", "main")
    assert_refused(done, "torch.py", "refs/heads/bad")


def test_a_later_file_completes_the_attack(gate, web, server, work):
    """Each push alone is harmless; the tip of the second is not. The old file is in the hub's tree."""
    target = url(gate, web, server)
    work.commit({"README.md": b"# hi\n", "torch.py": SHADOW})
    done = work.run("push", target, "main")
    assert done.returncode == 0, done.stderr
    work.commit({"train.py": TRAIN})
    assert_refused(work.run("push", target, "main"), "torch.py", "tree-shadow-module")


def test_code_split_over_pushes_is_followed(start, web, server, work):
    """The old half is fetched from the hub: nobody has pulled it through this gate."""
    fill(work, server, {**BASE, "pkg/data.py": SPLIT_SOURCE})
    gate = start()
    work.commit({"pkg/mine.py": b"from .data import fetch\n\nexec(fetch())\n"})
    target = url(gate, web, server)
    for _ in range(2):
        assert_refused(work.run("push", target, "main"), "pkg/mine.py", "python-execution", "data.py:5")


def test_what_the_ref_said_before_is_not_held_against_a_push(start, web, server, work):
    fill(work, server, {**BASE, "torch.py": SHADOW, "train.py": TRAIN})
    gate = start()
    target = url(gate, web, server)
    work.commit({"README.md": b"# more\n"})
    done = work.run("push", target, "main")
    assert done.returncode == 0, done.stderr
    assert_refused(work.run("push", target, "main:refs/heads/new"), "torch.py", "tree-shadow-module")
    # An amended commit too: its parent is not what the ref named.
    work.git("commit", "-q", "--amend", "-m", "again")
    done = work.run("push", "--force", target, "main")
    assert done.returncode == 0, done.stderr


def test_new_refs_to_old_commits_are_judged_once(start, web, server, work):
    gate = start()
    target = url(gate, web, server)
    work.commit(BASE)
    work.commit({"model.safetensors": safetensors({"b": 16})})
    work.git("push", "-q", target, "main")
    for name in ("main:refs/heads/same", "main~1:refs/heads/old", "main~1:refs/heads/older"):
        done = work.run("push", target, name)
        assert done.returncode == 0, done.stderr


def test_an_index_that_leads_out_is_refused(gate, web, server, work):
    index = json.dumps({"metadata": {"total_size": 32}, "weight_map": {"a": "../../victim/model.safetensors"}}).encode()
    work.commit({**BASE, "model.safetensors.index.json": index})
    assert_refused(work.run("push", url(gate, web, server), "main"), "model.safetensors.index.json")
