"""`hubgate explain FILE` shows how what was found was recovered: bytes, disassembly, code, each with its offset.

Pickles are held against pickletools, which reads opcodes and never loads anything."""
import io
import json
import os
import pickletools
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "differential")]

import streams  # noqa: E402
from fixtures.registry import FIXTURES, load_families, write_all  # noqa: E402

HUBGATE = os.environ.get("HUBGATE", str(ROOT / "build/release/hubgate"))


def explain(*arguments):
    """The exit code and the reports, one a file."""
    run = subprocess.run([HUBGATE, "explain", "--format", "json", *map(str, arguments)], capture_output=True, text=True,
                         check=False)
    assert run.returncode in (0, 1, 3), run.stderr
    return run.returncode, [json.loads(line) for line in run.stdout.splitlines()]


def dis(data: bytes):
    """(offset, text) of each line that pickletools prints, up to where it gives up."""
    out = io.StringIO()
    try:
        pickletools.dis(data, out)
    except Exception:  # what is wrong with them is what many fixtures are about
        pass
    found = (re.match(r" *(\d+): (.*)", line) for line in out.getvalue().split("\n"))
    return [(int(match[1]), match[2]) for match in found if match]


def parts(text: str):
    """Opcode, name, argument; however deep the line is indented."""
    code, _, rest = text.partition(" ")
    name, _, argument = rest.lstrip().partition(" ")
    return code, name, argument.strip()


def same(ours: str, theirs: str) -> bool:
    code, name, argument = parts(ours)
    if (code, name) != parts(theirs)[:2]:
        return False
    expected = parts(theirs)[2]
    if argument == expected or "****" in argument or argument.startswith("<an integer of"):
        return True
    if name in ("INT", "LONG", "FLOAT", "GET", "PUT"):
        return True  # ours is as it stands in the file: "+0", "010"
    if "…" in argument:  # bounded
        return expected.startswith(argument[:argument.index("…")].rstrip("'\""))
    # What Python's repr() and the escapes for terminals write differently.
    return not expected.isascii() or not argument.isascii() or "\\u{" in argument or "\\u" in expected


def compare(path: Path, report) -> int:
    """Lines that both have."""
    streams_of = {stream["where"]: stream for stream in report["streams"]}
    ours = [(line["offset"], line["text"]) for line in streams_of.get("", {}).get("disassembly", [])]
    theirs = dis(path.read_bytes())
    if not ours or ours[0][0] != 0:
        return 0
    whole = theirs and parts(theirs[-1][1])[1] == "STOP"
    stop = next((i for i, line in enumerate(ours) if parts(line[1])[1] == "STOP"), None)
    if whole and stop is not None:
        assert [offset for offset, _ in ours[:stop + 1]] == [offset for offset, _ in theirs], path.name
    for (at, text), (expected_at, expected) in zip(ours, theirs):
        if "breaks here" in text or "no opcodes" in text:
            break  # CPython would not go on either, or reads an array there
        assert at == expected_at and same(text, expected), f"{path.name}: {at} {text} / {expected_at} {expected}"
    return min(len(ours), len(theirs))


def test_the_disassembly_of_pickles_is_that_of_pickletools(tmp_path):
    chooser = random.Random(5)
    folder = tmp_path / "pickles"
    folder.mkdir()
    for i in range(200):
        (folder / f"plain_{i:03}.pkl").write_bytes(streams.dumps(chooser))
    load_families()
    names = {name for name in FIXTURES if name.endswith(".pkl")}
    for path in write_all(tmp_path / "fixtures", names):
        if path.stat().st_size < 16384:
            path.rename(folder / path.name)
    _, reports = explain("--all", "--lines", "5000", "--stage", "disassembly", folder)
    compared = {True: 0, False: 0}
    for report in reports:
        if report.get("tree") or report["format"] != "pickle":
            continue
        path = Path(report["path"])
        compared[path.name.startswith("plain_")] += bool(compare(path, report))
    assert compared[True] > 80 and compared[False] > 500, compared


def lines(report, kind, where=None):
    return [line["text"] for stream in report["streams"] if where is None or where in stream["where"]
            for line in stream.get(kind, [])]


# Fixture, and what each kind of lines must hold.
CARRIERS = [
    ("cnt_005_exec.pkl", {"disassembly": "STACK_GLOBAL", "code": "from builtins import exec", "source": "pty.spawn"}),
    ("jnp_021_flair.pt", {"disassembly": "REDUCE", "code": "system('echo hubgate-inert-marker')"}),
    ("pth_018_rng_state.pth", {"bytes": "|", "disassembly": "BINPERSID", "code": "= system('echo"}),
    ("jnp_001_zlib.joblib", {"disassembly": "bytes that are no opcodes", "code": "NumpyArrayWrapper"}),
    ("jnp_008_call_in_object_array.npy", {"disassembly": "GLOBAL", "code": "from os import system"}),
    ("jnp_010_object_member.npz", {"disassembly": "GLOBAL", "code": "from os import system"}),
    ("dat_018_bang_curl.ipynb", {"cell": "# cell 1 (code)", "command": "curl -s"}),
    ("ggf_001_dot.gguf", {"bytes": "|", "template": "attribute __"}),
    ("ggf_001_file.jinja", {"template": "attribute __"}),
    ("cnt_005_dup2.py", {"source": "os.dup2(s.fileno(), 0)", "call": "os.dup2("}),
    ("cfg_026_install.sh", {"command": "curl -s"}),
    ("tfx_001_write_file.pb", {"operator": 'WriteFile  drop  writes a file "/root/.ssh/authorized_keys"'}),
    ("onx_001_parent.onnx", {"node": "../../../etc/hostname"}),
    ("onx_006_domain.onnxtxt", {"operator": "com.example.Thing"}),
    ("ker_001_lambda_311.keras", {"layer": "Lambda", "disassembly": "LOAD_METHOD system", "source": ".system('echo"}),
    ("ker_008_lambda_superblock_0.h5", {"layer": "Lambda", "disassembly": "LOAD_"}),
    ("cfg_021_stale.pyc", {"bytes": "|", "disassembly": "LOAD_"}),
]


@pytest.mark.parametrize(("name", "expected"), CARRIERS, ids=[name for name, _ in CARRIERS])
def test_every_carrier_shows_what_was_recovered(tmp_path, name, expected):
    path = write_all(tmp_path, {name})[0]
    code, reports = explain(path)
    assert code in (1, 3)
    report = reports[0]
    for kind, text in expected.items():
        shown = lines(report, kind)
        assert any(text in line for line in shown), f"{kind}: {shown[:40]}"
    # Every finding has its rule's meaning and the offset that the scan gives it, and where opcodes are shown, the
    # opcode that a finding about one names is there.
    scan = subprocess.run([HUBGATE, "scan", "--format", "jsonl", str(path)], capture_output=True, text=True, check=False)
    scanned = json.loads(scan.stdout.splitlines()[0])
    assert scan.returncode == code
    assert [(f["rule"], f["where"], f["offset"], f["evidence"]) for f in report["findings"]] == [
        (f["rule"], f["where"], f["offset"], f["evidence"]) for f in scanned["findings"]]
    assert report["verdict"] == scanned["verdict"]
    assert all(finding["meaning"] for finding in report["findings"])
    for finding in report["findings"]:
        shown = {line["offset"] for stream in report["streams"] if stream["where"] == finding["where"]
                 for line in stream.get("disassembly", [])}
        assert finding["rule"] != "pickle-dangerous-call" or finding["offset"] in shown


def test_the_bytes_are_those_of_the_file(tmp_path):
    path = write_all(tmp_path, {"cnt_005_exec.pkl"})[0]
    data = path.read_bytes()
    _, reports = explain("--all", "--stage", "bytes", path)
    shown = reports[0]["streams"][0]["bytes"]
    dump = b"".join(bytes.fromhex(line["text"].split("|")[0]) for line in shown)
    assert dump == data
    assert [line["offset"] for line in shown] == list(range(0, len(data), 16))


def test_of_a_large_file_the_neighbourhood_of_the_call_is_shown(tmp_path):
    call = b"cposix\nsystem\n(Vecho hubgate.fixtures.MARKER\ntR0"
    data = b"\x80\x04" + b"K\x010" * 5000 + call + b"K\x010" * 5000 + b"N."
    path = tmp_path / "large.pkl"
    path.write_bytes(data)
    code, reports = explain(path)
    assert code == 1
    shown = reports[0]["streams"][0]["disassembly"]
    assert 60 < len(shown) < 200
    reduce = next(line for line in shown if "REDUCE" in line["text"])
    assert data[reduce["offset"]:reduce["offset"] + 1] == b"R"
    assert [line for line in shown if "lines left out" in line["text"]]
    assert "_var0 = system('echo hubgate.fixtures.MARKER')" in lines(reports[0], "code")
    _, reports = explain("--all", "--lines", "0", path)
    assert len(reports[0]["streams"][0]["disassembly"]) == len(dis(data))
    _, reports = explain("--all", "--lines", "10", path)
    assert len(reports[0]["streams"][0]["disassembly"]) == 10 and int(reports[0]["left_out"]) > 20000


def test_a_broken_pickle_is_shown_to_the_break_and_behind_it(tmp_path):
    first = b"\x80\x04cposix\nsystem\n(Vecho hubgate.fixtures.MARKER\ntR\xff"
    second = b"\x80\x04cposix\npopen\n(Vecho hubgate.fixtures.MARKER\ntR."
    path = tmp_path / "broken.pkl"
    path.write_bytes(first + b"\0" * 40 + second)
    code, reports = explain(path)
    assert code == 1
    shown = reports[0]["streams"][0]["disassembly"]
    assert any("breaks here" in line["text"] and line["offset"] == len(first) - 1 for line in shown)
    assert any("posix popen" in line["text"] and line["offset"] == len(first) + 42 for line in shown)


def test_a_directory_shows_its_bad_files_and_what_they_say_together(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing to see\n")
    path = write_all(tmp_path, {"cnt_005_exec.pkl"})[0]
    code, reports = explain(tmp_path)
    assert code == 1
    assert [Path(report["path"]).name for report in reports] == [path.name, tmp_path.name]
    assert reports[1]["tree"]


def test_text_is_for_people(tmp_path):
    path = write_all(tmp_path, {"cnt_005_exec.pkl"})[0]
    run = subprocess.run([HUBGATE, "explain", str(path)], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    for word in ("bytes", "disassembly", "decompiled", "malicious", "[1]", "CWE-"):
        assert word in run.stdout
    assert "\x1b" not in run.stdout  # colours are for terminals
    missing = subprocess.run([HUBGATE, "explain", str(tmp_path / "none.pkl")], capture_output=True, text=True, check=False)
    assert missing.returncode == 3 and "there is no file" in missing.stderr
