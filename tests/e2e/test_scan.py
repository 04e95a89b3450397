"""`hubgate scan` as people and scripts use it: exit statuses, the shapes of its output, bad input."""
import json
import os
import subprocess

import pytest

from gate import HUBGATE

PICKLE = b"\x80\x04cos\nsystem\n\x8c\x19echo hubgate-inert-marker\x85R."
OPAQUE = bytes(range(1, 256)) * 3


def scan(*arguments, **options):
    return subprocess.run([str(HUBGATE), "scan", *map(str, arguments)], capture_output=True, text=True, check=False,
                          timeout=120, **options)


def lines(run):
    return [json.loads(line) for line in run.stdout.splitlines()]


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "clean.txt").write_text("hello\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "poisoned.pkl").write_bytes(PICKLE)
    (tmp_path / "opaque.dat").write_bytes(OPAQUE)
    return tmp_path


def test_exit_status_says_the_worst(tree, tmp_path):
    assert scan(tree / "clean.txt").returncode == 0
    assert scan(tree / "sub" / "poisoned.pkl").returncode == 1
    assert scan(tree / "opaque.dat").returncode == 3
    assert scan(tmp_path / "missing").returncode == 3
    assert scan(tree, tmp_path / "missing").returncode == 1, "a finding is never masked by an error"
    assert scan("--policy", tmp_path / "missing.yaml", tree).returncode == 2
    assert scan("--format", "xml", tree).returncode == 2
    assert scan().returncode == 2


def test_a_policy_decides_the_exit_status(tree):
    assert scan("--policy", "audit", tree / "sub").returncode in (0, 3)
    assert scan("--policy", "guarded", tree / "sub").returncode == 1
    assert scan("--policy", "strict", tree / "opaque.dat").returncode == 1
    assert scan("--policy", "guarded", tree / "missing").returncode == 3


def test_json_lines_have_the_promised_shape(tree):
    run = scan("--format", "jsonl", tree)
    reports = {os.path.relpath(report["path"], tree): report for report in lines(run)}
    # What is only opaque waits for a file that describes it.
    assert list(reports) == ["clean.txt", "sub/poisoned.pkl", "opaque.dat", "."]
    assert reports["."]["tree"] and reports["."]["format"] == "tree" and reports["."]["verdict"] == "clean"
    poisoned = reports["sub/poisoned.pkl"]
    assert poisoned["verdict"] == "malicious" and poisoned["status"] == "complete"
    assert poisoned["format"] == "pickle" and poisoned["size"] == len(PICKLE)
    finding = poisoned["findings"][0]
    for field in ("rule", "class", "severity", "reach", "where", "offset", "length", "evidence", "cwe", "atlas"):
        assert field in finding
    assert "hubgate-inert-marker" in finding["evidence"]
    assert reports["opaque.dat"]["verdict"] == "inconclusive" and reports["opaque.dat"]["reasons"] == ["opaque"]
    assert reports["clean.txt"]["verdict"] == "clean" and len(reports["clean.txt"]["sha256"]) == 64
    assert "3 files" in run.stderr


def test_order_does_not_depend_on_jobs(tree):
    for number in range(300):
        (tree / f"file-{number:03}.txt").write_text(f"{number}\n" * 3)
    one = scan("--format", "jsonl", "--jobs", 1, tree).stdout
    assert one == scan("--format", "jsonl", "--jobs", 8, tree).stdout
    assert len(one.splitlines()) == 304


def test_sarif_names_rule_place_and_bytes(tree):
    document = json.loads(scan("--format", "sarif", tree).stdout)
    assert document["version"] == "2.1.0"
    results = document["runs"][0]["results"]
    error = [result for result in results if result["level"] == "error"]
    assert error and error[0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].endswith("poisoned.pkl")
    assert error[0]["locations"][0]["physicalLocation"]["region"]["byteLength"] > 0
    declared = {rule["id"] for rule in document["runs"][0]["tool"]["driver"]["rules"]}
    assert {result["ruleId"] for result in results} <= declared


def test_text_is_for_people(tree):
    run = scan(tree / "sub" / "poisoned.pkl")
    assert run.stdout.startswith("malicious"), "the verdict comes first"
    assert "os.system" in run.stdout or "posix.system" in run.stdout
    assert "\x1b" not in run.stdout, "colours are for terminals"


def test_names_are_data(tmp_path):
    (tmp_path / "evil\n\x1b[31m\u202e.txt").write_text("x\n")
    run = scan(tmp_path)
    assert run.returncode == 0
    assert "\x1b" not in run.stdout and "\u202e" not in run.stdout and len(run.stdout.splitlines()) == 1
    assert "\u202e" not in scan("--format", "jsonl", tmp_path).stdout


def test_links_and_special_files_lead_nowhere(tree):
    (tree / "loop").symlink_to(tree)
    (tree / "link.pkl").symlink_to(tree / "sub" / "poisoned.pkl")
    os.mkfifo(tree / "fifo")
    run = scan("--format", "jsonl", tree)
    names = {os.path.basename(report["path"]): report for report in lines(run) if not report.get("tree")}
    assert set(names) == {"clean.txt", "opaque.dat", "poisoned.pkl", "fifo"}
    assert names["fifo"]["verdict"] == "inconclusive"
    assert scan(tree / "link.pkl").returncode == 1, "a link that is asked for is followed"


def test_a_large_file_is_scanned_in_its_own_worker(tmp_path):
    large = tmp_path / "large.pkl"
    large.write_bytes(b"\x80\x04]" + b"B" + (8 << 20).to_bytes(4, "little") + bytes(8 << 20) + b"a0" + PICKLE[2:])
    report = lines(scan("--format", "jsonl", large))[0]
    assert report["verdict"] == "malicious" and report["size"] == large.stat().st_size
    assert report["findings"][0]["offset"] > 8 << 20


def test_a_directory_is_judged_as_one_repository(tmp_path):
    (tmp_path / "torch.py").write_text("x = 1\n")
    (tmp_path / "train.py").write_text("import torch\n")
    run = scan("--format", "jsonl", tmp_path, tmp_path / "train.py")
    assert run.returncode == 1, run.stderr
    reports = lines(run)
    assert [bool(report.get("tree")) for report in reports] == [False, False, True, False]
    finding = reports[2]["findings"][0]
    assert (finding["rule"], finding["where"], finding["severity"]) == ("tree-shadow-module", "torch.py", "malicious")
    assert "files together: 1 malicious" in run.stderr and "3 files" in run.stderr
    assert scan("--policy", "guarded", tmp_path).returncode == 1
    text = scan(tmp_path).stdout
    assert "(its files together)" in text and "at torch.py" in text
    uris = [result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
            for result in json.loads(scan("--format", "sarif", tmp_path).stdout)["runs"][0]["results"]]
    assert any(uri.endswith("/torch.py") for uri in uris)


def test_code_is_followed_across_the_files_of_a_directory(tmp_path):
    (tmp_path / "data.py").write_text("import requests\ndef fetch():\n    return requests.get('http://127.0.0.1:9').text\n")
    (tmp_path / "mine.py").write_text("import datasets\nfrom .data import fetch\n"
                                      "class Mine(datasets.GeneratorBasedBuilder):\n"
                                      "    def _info(self):\n        exec(fetch())\n")
    run = scan("--format", "jsonl", tmp_path)
    reports = lines(run)
    assert run.returncode == 1, run.stderr
    assert [report["verdict"] for report in reports] == ["clean", "clean", "malicious"]
    found = {finding["rule"]: finding for finding in reports[2]["findings"]}
    assert found["python-execution"]["where"] == "mine.py"
    assert "data.py:3:" in found["python-execution"]["evidence"] and "mine.py:5:" in found["python-execution"]["evidence"]
    assert "mine.py -> data.py" in found["tree-entry-point"]["evidence"]


def test_links_and_pointers_of_a_directory(tmp_path):
    (tmp_path / "model.bin").symlink_to("../../etc/passwd")
    run = scan("--format", "jsonl", tmp_path)
    assert run.returncode == 1 and lines(run)[0]["findings"][0]["rule"] == "tree-link-outside"
    (tmp_path / "model.bin").unlink()
    (tmp_path / "model.bin").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:" + "ab" * 32 + "\nsize 5\n")
    run = scan("--format", "jsonl", tmp_path)
    assert run.returncode == 3, "the object itself was not looked at"
    assert lines(run)[-1]["reasons"] == ["unreadable"]
    (tmp_path / "model.bin").unlink()
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "os.py").write_text("x = 1\n")
    assert scan(tmp_path).returncode == 0


def test_numbers_are_accounted_for_by_what_describes_them(tmp_path):
    (tmp_path / "model.bin").write_bytes(OPAQUE[:64])
    ir = ('<?xml version="1.0"?><net name="m" version="11"><layers><layer id="0" name="w" type="Const" version="opset1">'
          '<data element_type="f32" shape="%d" offset="0" size="64"/></layer></layers></net>')
    (tmp_path / "model.xml").write_text(ir % 16)
    run = scan("--format", "jsonl", "--policy", "strict", tmp_path)
    reports = {os.path.basename(report["path"]): report for report in lines(run)}
    assert reports["model.bin"]["verdict"] == "clean", run.stdout
    assert [finding["rule"] for finding in reports["model.bin"]["findings"]] == ["tree-described"]
    assert run.returncode == 0, run.stdout
    # A description that does not add up accounts for nothing.
    (tmp_path / "model.xml").write_text(ir % 15)
    assert scan(tmp_path).returncode == 1
    (tmp_path / "model.xml").unlink()
    assert scan(tmp_path).returncode == 3
