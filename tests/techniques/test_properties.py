"""SCA: attacks on the scanner itself. Each test shows one property of the gate; the ledger names them."""
import bz2
import gzip
import hashlib
import importlib.util
import io
import json
import marshal
import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "bench")]

from fixtures.models import honest_safetensors, object_npy  # noqa: E402
from fixtures.pickleasm import P, benign, exploit  # noqa: E402
from fixtures.registry import load_families, write_all  # noqa: E402
from measure import tree  # noqa: E402

HUBGATE = os.environ.get("HUBGATE", str(ROOT / "build/release/hubgate"))
OPAQUE = bytes(range(1, 256)) * 3


def scan(*arguments, **options):
    return subprocess.run([HUBGATE, "scan", "--format", "jsonl", *map(str, arguments)], capture_output=True, text=True, check=False,
                          timeout=300, **options)


def reports(run) -> dict:
    """By file name; the results of directories by the name "/"."""
    found = {}
    for line in run.stdout.splitlines():
        report = json.loads(line)
        found["/" if report.get("tree") else Path(report["path"]).name] = report
    return found


def write(folder: Path, **files: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name.replace("__", ".")).write_bytes(data)
    return folder


def slow_archive() -> bytes:
    """A gzip that takes seconds to unpack: a gigabyte of zeros."""
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=1, mtime=0) as file:
        for _ in range(1024):
            file.write(bytes(1 << 20))
    return out.getvalue()


def workers(pid: int) -> list[int]:
    """The processes below the scan that do its work: those that use the CPU."""
    return [child for child in tree(pid) if child != pid]


@pytest.mark.parametrize("how, reason", [(signal.SIGSEGV, "crash"), (signal.SIGKILL, "timeout")])  # SIGKILL is how limits end it
def test_a_killed_worker_is_inconclusive_never_clean(tmp_path, how, reason):
    """SCA-001, SCA-006: neither a crash nor a limit is a pass."""
    write(tmp_path, slow__gz=slow_archive())
    with subprocess.Popen([HUBGATE, "scan", "--format", "jsonl", str(tmp_path / "slow.gz")], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True) as process:
        until = time.monotonic() + 20
        killed = False
        while not killed and process.poll() is None and time.monotonic() < until:
            busy = [pid for pid in workers(process.pid) if cpu_ticks(pid) > 20]
            for pid in busy:
                os.kill(pid, how)
                killed = True
            time.sleep(0.02)
        report = json.loads(process.stdout.readline())
    assert killed
    assert report["verdict"] == "inconclusive" and report["reasons"] == [reason], report
    assert process.wait() == 3


def cpu_ticks(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])


def test_one_bad_file_stops_nothing(tmp_path):
    """SCA-002: what can't be read is told; what comes after it is scanned."""
    write(tmp_path, a__pkl=b"\x80\x04c", b__zip=b"PK\x03\x04" + b"\xff" * 40, z__pkl=exploit())
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "locked").mkdir(mode=0o000)
    run = scan(tmp_path)
    (tmp_path / "locked").chmod(0o755)
    found = reports(run)
    assert run.returncode == 1
    assert found["z.pkl"]["verdict"] == "malicious"
    assert found["fifo"]["verdict"] == "inconclusive" and found["a.pkl"]["verdict"] != "clean"


def test_what_nobody_knows_is_not_clean_and_every_file_has_a_line(tmp_path):
    """SCA-003: coverage is part of the verdict."""
    names = ["model.unknown", "noextension", ".hidden", "weights.xyz"]
    for name in names:
        (tmp_path / name).write_bytes(OPAQUE)
    found = reports(scan(tmp_path))
    assert set(found) == {*names, "/"}
    assert all(found[name]["verdict"] == "inconclusive" and found[name]["reasons"] == ["opaque"] for name in names)


def test_a_directory_is_scanned_like_each_of_its_files(tmp_path):
    """SCA-004: one code path, whatever the extension, the depth or the folder's name."""
    payloads = {"model.npy": object_npy(exploit()), "model.pkl": exploit(), "model.txt": exploit(), "model": exploit(),
                "node_modules/a.bin": exploit(), ".git/x.pkl": exploit(), "deep/" * 20 + "x.pt": exploit(), "__pycache__/x.pkl": exploit()}
    for name, data in payloads.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    whole = {line["path"]: line for line in map(json.loads, scan(tmp_path).stdout.splitlines()) if not line.get("tree")}
    assert len(whole) == len(payloads)
    for path, report in whole.items():
        alone = json.loads(scan(path).stdout)
        assert alone == report
        assert report["verdict"] == "malicious", path


def test_a_payload_behind_256_megabytes_is_found(tmp_path):
    """SCA-005: no size limit and no sampling."""
    size = 256 << 20
    path = tmp_path / "large.pkl"
    with path.open("wb") as file:
        file.write(b"\x80\x04B" + size.to_bytes(4, "little"))
        file.seek(size, os.SEEK_CUR)
        file.write(b"0" + exploit()[2:])
    report = reports(scan(path))["large.pkl"]
    assert report["verdict"] == "malicious" and report["findings"][0]["offset"] > size


def test_a_bomb_is_never_clean(tmp_path):
    """SCA-006: a bomb spends the budget and says so."""
    bomb = bz2.compress(bytes(64 << 20))
    write(tmp_path, bomb__bz2=bz2.compress(bomb * 200))
    report = reports(scan(tmp_path))["bomb.bz2"]
    assert report["status"] == "inconclusive" or report["verdict"] in ("suspicious", "malicious"), report
    assert report["verdict"] != "clean"


def test_suspicious_fails_the_scan_and_unknown_calls_are_blocked(tmp_path):
    """SCA-007: a callable that nobody listed is no pass."""
    write(tmp_path, model__pkl=P(4).call("shelve", "open", "x", proto=4).stop().bytes())
    run = scan(tmp_path / "model.pkl")
    assert run.returncode == 1 and reports(run)["model.pkl"]["verdict"] in ("suspicious", "malicious")
    decided = reports(scan("--policy", "guarded", tmp_path / "model.pkl"))["model.pkl"]
    assert decided["decision"] == "block"


def test_no_name_and_no_owner_makes_a_payload_milder(tmp_path):
    """SCA-008: no allowlist of popular models; a policy lets malicious pass in so many words only."""
    famous = tmp_path / "google-bert" / "bert-base-uncased"
    write(famous, pytorch_model__bin=exploit())
    write(tmp_path / "nobody", x__bin=exploit())
    one, other = reports(scan(famous))["pytorch_model.bin"], reports(scan(tmp_path / "nobody"))["x.bin"]
    assert one["verdict"] == other["verdict"] == "malicious" and one["findings"] == other["findings"]
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\nname: trusting\nrules:\n  - {id: all, action: allow}\n")
    run = scan("--policy", policy, famous)
    assert run.returncode == 1 and reports(run)["pytorch_model.bin"]["decision"] == "block"


def test_comments_do_not_outweigh_code(tmp_path):
    """SCA-009: source is parsed, lines are not counted."""
    code = b"import base64\n\nexec(base64.b64decode('cHJpbnQoImh1YmdhdGUtaW5lcnQtbWFya2VyIik='))\n"
    comments = b'"""Documentation of an honest module."""\n' + b"# This example shows how a model is loaded.\n" * 2000
    write(tmp_path, bare__py=code, documented__py=comments + code, only_words__py=comments)
    found = reports(scan(tmp_path))
    rules = {name: {finding["rule"] for finding in found[name]["findings"]} for name in ("bare.py", "documented.py")}
    assert rules["bare.py"] and rules["bare.py"] == rules["documented.py"]
    assert found["only_words.py"]["verdict"] == "clean"


def test_every_format_is_in_the_program(tmp_path):
    """SCA-010: nothing depends on what is installed: an empty environment changes no verdict."""
    load_families()
    wanted = {"saf_001_near.safetensors", "saf_009_twin", "pkl_001_reduce_os_system.pkl", "onx_002_repository_near"}
    paths = write_all(tmp_path, wanted)
    assert paths
    with_all, with_none = scan(*paths), scan(*paths, env={})
    assert with_all.stdout == with_none.stdout
    formats = {path.name.replace("-", "_") for path in (ROOT / "scanner/formats").iterdir() if (path / "CMakeLists.txt").exists()}
    listed = subprocess.run([HUBGATE, "explain", "--list"], capture_output=True, text=True, check=True).stdout
    assert {"onnx", "hdf5", "sevenzip", "parquet"} <= formats
    assert all(word in listed for word in ("onnx-", "hdf5-", "pickle-"))


def test_nothing_in_a_target_is_executed(tmp_path):
    """SCA-011: a scan leaves no trace of the payload having run."""
    trace = tmp_path / "trace"
    command = f"touch {trace}"
    write(tmp_path / "targets", model__pkl=P(4).call("os", "system", command, proto=4).stop().bytes(),
          setup__py=f"import os\nos.system({command!r})\n".encode(),
          chat_template__jinja=("{{ cycler.__init__.__globals__.os.popen('" + command + "').read() }}").encode(),
          config__yaml=f"a: !!python/object/apply:os.system ['{command}']\n".encode(),
          conftest__py=f"open({str(trace)!r}, 'w')\n".encode())
    run = scan(tmp_path / "targets", cwd=tmp_path / "targets")
    assert run.returncode == 1
    assert not trace.exists()


def test_every_parser_has_a_fuzz_target_and_seeds():
    """SCA-012: what parses a stranger's bytes is fuzzed, and runs in the sandbox that refuses to start without itself."""
    bare = [folder.name for folder in (ROOT / "scanner/formats").iterdir()
            if (folder / "CMakeLists.txt").exists() and (not list(folder.glob("*_fuzz.cpp")) or not list((folder / "corpus").glob("*")))]
    assert bare == []
    for folder in ("scanner/core", "scanner/tree", "scanner/worker", "scanner/git", "proxy/http", "proxy/hub", "policy"):
        assert list((ROOT / folder).glob("*_fuzz.cpp")), folder


def test_a_verdict_belongs_to_bytes_not_to_a_name(tmp_path):
    """SCA-013: same name, size and time, other bytes: another verdict."""
    path = write(tmp_path, model__pkl=benign() + b" " * (len(exploit()) - len(benign()))) / "model.pkl"
    stamp = path.stat()
    first = json.loads(scan(path).stdout)
    path.write_bytes(exploit().ljust(stamp.st_size))
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    second = json.loads(scan(path).stdout)
    assert second["verdict"] == "malicious" and first["sha256"] != second["sha256"]
    assert first["engine"] == second["engine"] and first["rules"] == second["rules"]


@pytest.mark.parametrize("form", ["text", "jsonl", "sarif"])
def test_names_and_evidence_cannot_write_to_the_report(tmp_path, form):
    """SCA-014: terminal codes, line ends, bidirectional marks and markup are data."""
    text = "\x1b[2J\r\nclean  fake.pkl\u202e<script>alert(1)</script>"
    (tmp_path / "a\x1b]0;title\x07\nclean  fake\u202e<b>.pkl").write_bytes(P(4).call("os", "system", text, proto=4).stop().bytes())
    run = subprocess.run([HUBGATE, "scan", "--format", form, str(tmp_path)], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert not any(code in run.stdout for code in ("\x1b", "\r", "\x07", "\u202e"))
    assert not any(line.startswith("clean  fake") for line in run.stdout.splitlines())


def test_nothing_in_a_target_configures_the_scan(tmp_path):
    """SCA-015: rule and ignore files of the repository are files like all others."""
    plain = write(tmp_path / "plain", model__pkl=exploit())
    rules = b"version: 1\nname: mine\nrules:\n  - {id: all, action: allow, override: malicious}\n"
    armed = write(tmp_path / "armed", model__pkl=exploit(), hubgate__yaml=b"policy: mine.yaml\nscan: {skip: ['*']}\n", policy__yaml=rules)
    for name in (".hubgateignore", ".modelaudit.toml", "modelscan-settings.toml", ".semgrepignore", ".gitignore", ".gitattributes"):
        (armed / name).write_bytes(b"*\n*.pkl\n[scan]\nskip = ['model.pkl']\n")
    one = reports(scan("--policy", "guarded", plain, cwd=plain))["model.pkl"]
    other = reports(scan("--policy", "guarded", armed, cwd=armed))
    assert other["model.pkl"] == {**one, "path": other["model.pkl"]["path"]}
    assert len(other) == 1 + 2 + 6 + 1


def test_a_clean_reading_overrides_no_other(tmp_path):
    """SCA-016: every valid reading counts, and what is inconclusive stays so."""
    import zipfile
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("readme.txt", "honest\n")
    write(tmp_path, both__pkl=exploit() + out.getvalue(), cut__pkl=exploit()[:-1] + b"c", safe__safetensors=honest_safetensors() + exploit())
    found = reports(scan(tmp_path))
    for name in ("both.pkl", "cut.pkl", "safe.safetensors"):
        assert found[name]["verdict"] == "malicious", found[name]
    assert found["cut.pkl"]["status"] == "inconclusive"


@pytest.mark.parametrize("module, name", [("nt", "system"), ("posix", "system"), ("idlelib.run", "Executive"), ("distutils.spawn", "spawn"),
                                          ("mailcap", "findmatch"), ("_osx_support", "_find_build_tool"), ("asyncio.unix_events", "_UnixSubprocessTransport"),
                                          ("imp", "load_source"), ("pipes", "Template"), ("commands", "getoutput"), ("__builtin__", "eval")])
def test_callables_of_other_systems_and_versions_count(tmp_path, module, name):
    """SCA-017: no Python of this machine is asked what exists."""
    write(tmp_path, model__pkl=P(2).call(module, name, "echo hubgate-inert-marker", proto=2).stop().bytes())
    run = scan(tmp_path / "model.pkl")
    assert run.returncode == 1, run.stdout
    assert reports(scan("--policy", "guarded", tmp_path / "model.pkl"))["model.pkl"]["decision"] == "block"


def test_a_known_bad_hash_is_blocked_under_any_name(tmp_path):
    """POL-013: what is known to be bad by its hash is named in the policy; the bytes decide, not the name, and not the scan."""
    text = b"# A model card\n"
    known = hashlib.sha256(text).hexdigest()
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\nrules:\n"
                      f"  - {{id: known-bad, match: {{sha256: ['{known}']}}, action: block, reason: on our list}}\n"
                      "  - {id: rest, match: {verdict: clean}, action: allow}\n")
    folder = write(tmp_path / "repository", README__md=text, notes__txt=text, other__md=text + b"\n")
    run = scan(folder, "--policy", policy)
    blocked = {Path(report["path"]).name for report in map(json.loads, run.stdout.splitlines())
               if report.get("decision") == "block"}
    assert run.returncode == 1 and blocked == {"README.md", "notes.txt"}


def test_bytecode_is_told_and_only_strict_refuses_it(tmp_path):
    """CFG-021: a cache of an honest module is read in full; `strict` takes no bytecode at all."""
    code = compile("import math\n\n\ndef area(radius):\n    return math.pi * radius ** 2\n", "area.py", "exec")
    cached = write(tmp_path, area__pyc=importlib.util.MAGIC_NUMBER + bytes(12) + marshal.dumps(code)) / "area.pyc"
    assert scan(cached).returncode == 0
    assert scan(cached, "--policy", "guarded").returncode == 0
    assert scan(cached, "--policy", "strict").returncode == 1


def test_a_million_empty_members_cost_the_budget_and_no_more(tmp_path):
    """ARC-016: members that hold nothing are counted like any others; what comes behind the limit is a gap."""
    count, path = 1_050_000, tmp_path / "many.zip"
    head = struct.pack("<HHHHHIIIHH", 20, 0, 0, 0, 0x5821, 0, 0, 0, 7, 0)
    with path.open("wb") as out:
        for i in range(count):
            out.write(b"PK\3\4" + head + b"%07d" % i)
        begin = out.tell()
        for i in range(count):
            out.write(b"PK\1\2" + struct.pack("<H", 20) + head + struct.pack("<HHHII", 0, 0, 0, 0, i * 37) + b"%07d" % i)
        end = out.tell()
        out.write(b"PK\6\6" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, count, count, end - begin, begin))
        out.write(b"PK\6\7" + struct.pack("<IQI", 0, end, 1))
        out.write(b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 0xFFFF, 0xFFFF, end - begin, begin, 0))
    report = json.loads(scan(path).stdout.splitlines()[0])
    path.unlink()
    assert report["verdict"] == "inconclusive" and report["reasons"] == ["budget"]
