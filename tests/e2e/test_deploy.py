"""What a person starts with: the demo, and the installed files."""
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from gate import HUBGATE, ROOT


def test_the_demo_shows_clean_models_pass_and_poisoned_ones_refused():
    done = subprocess.run(["bash", ROOT / "deploy/quickstart", "--demo"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("hubgate: blocked ") >= 4, done.stdout
    assert "remote: hubgate: " in done.stdout and "pre-receive hook declined" in done.stdout, done.stdout
    assert "Downloaded" in done.stdout and "os.system" in done.stdout
    assert "Traceback" not in done.stdout


@pytest.mark.parametrize("arguments", [["--nonsense"], ["--upstream"]])
def test_bad_flags_of_the_quickstart(arguments):
    done = subprocess.run(["bash", ROOT / "deploy/quickstart", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode != 0 and len(done.stderr.strip().splitlines()) == 1


def test_installed_files(tmp_path):
    done = subprocess.run(["cmake", "--install", Path(HUBGATE).parent], env={**os.environ, "DESTDIR": str(tmp_path)},
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    installed = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert {"etc/hubgate/hubgate.yaml", "etc/hubgate/policy.yaml", "usr/bin/hubgate", "lib/systemd/system/hubgate.service",
            "usr/lib/sysusers.d/hubgate.conf"} <= installed, installed
    program = tmp_path / "usr/bin/hubgate"
    checked = subprocess.run([program, "policy", "check", tmp_path / "etc/hubgate/policy.yaml"], capture_output=True, text=True,
                             check=False)
    assert checked.returncode == 0, checked.stderr
    unit = (tmp_path / "lib/systemd/system/hubgate.service").read_text()
    assert "ExecStart=/usr/bin/hubgate serve --config /etc/hubgate/hubgate.yaml" in unit


def test_the_installed_configuration_starts_the_gate(tmp_path, hub):
    """With the paths and the upstream of this machine in place of the shipped ones."""
    import time
    from gate import free_port, request
    port, admin = free_port(), free_port()
    text = (ROOT / "deploy/hubgate.yaml").read_text()
    for old, new in (("127.0.0.1:8443", f"127.0.0.1:{port}"), ("127.0.0.1:8444", f"127.0.0.1:{admin}"),
                     ("https://huggingface.co", hub.url), ("/var/lib/hubgate", str(tmp_path / "data")),
                     ("/etc/hubgate/policy.yaml", str(ROOT / "policy/presets/guarded.yaml"))):
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "hubgate.yaml").write_text(text)
    process = subprocess.Popen([HUBGATE, "serve", "--config", tmp_path / "hubgate.yaml"], stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
    try:
        for _ in range(100):
            try:
                if request(admin, "GET", "/readyz").status == 200:
                    break
            except OSError:
                time.sleep(0.1)
        assert request(admin, "GET", "/readyz").status == 200
        # its own certificate: nobody trusts it unasked, curl -k reads on
        plain = subprocess.run(["curl", "-s", f"https://127.0.0.1:{port}/api/models/demo/clean"], capture_output=True, check=False)
        assert plain.returncode == 60
        trusted = subprocess.run(["curl", "-s", "-k", f"https://127.0.0.1:{port}/api/models/demo/clean"], capture_output=True, check=True)
        assert b"demo/clean" in trusted.stdout
        found = [path for path in (tmp_path / "data").rglob("*") if path.is_file() and b"BEGIN CERTIFICATE" in path.read_bytes()]
        assert found
        keys = [path for path in (tmp_path / "data").rglob("*") if path.is_file() and b"PRIVATE KEY" in path.read_bytes()]
        assert keys and all(path.stat().st_mode & 0o077 == 0 for path in keys)
        verified = subprocess.run(["curl", "-s", "--cacert", found[0], f"https://127.0.0.1:{port}/api/models/demo/clean"],
                                  capture_output=True, check=False)
        assert verified.returncode == 0, "the gate's certificate names its address"
    finally:
        process.terminate()
        process.wait(20)


def test_python_client_over_tls(make_gate, make_clients, samples, tmp_path):
    assert shutil.which("openssl")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-keyout", key, "-out", cert, "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"],
                   check=True, capture_output=True)
    gate = make_gate("--tls-cert", str(cert), "--tls-key", str(key))
    gate.url = gate.url.replace("http://", "https://")
    clients = make_clients(gate, SSL_CERT_FILE=str(cert))
    run = clients.hub_download("demo/clean", "model.safetensors", tmp_path / "out")
    assert run.ok, run.output
    assert (tmp_path / "out").read_bytes() == samples["demo/clean"]["model.safetensors"]
    refused = clients.hub_download("demo/poisoned-pickle", "model.pkl", tmp_path / "bad")
    assert not refused.ok and "hubgate: " in refused.output


def test_root_changes_a_services_folder_as_the_service():
    """What an administrator does with sudo leaves nothing that the service can't read."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:  # others may enter: pytest's own folder is closed
        Path(name).chmod(0o755)
        data = Path(name) / "data"
        data.mkdir(mode=0o700)
        owner = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        os.chown(data, owner.pw_uid, owner.pw_gid)
        sha256 = "ab" * 32
        environment = {"PATH": "/usr/bin:/bin", "HUBGATE_DATA": str(data), "SUDO_USER": "alice"}
        for arguments in (["waiver", "add", sha256, "--rules", "*", "--reason", "looked at", "--expires", "5d"], ["waiver", "revoke", "1"],
                          ["ca", "init"], ["ca", "rotate"]):
            done = subprocess.run([HUBGATE, *arguments], capture_output=True, text=True, env=environment, check=False)
            assert done.returncode == 0, (arguments, done.stderr)
        made = [data, *data.rglob("*")]
        assert {"hubgate.db", "audit", "ca.key", "ca.pem"} <= {path.name for path in made}
        assert {(path.lstat().st_uid, path.lstat().st_gid) for path in made} == {(owner.pw_uid, owner.pw_gid)}
        log = subprocess.run([HUBGATE, "audit", "show"], capture_output=True, text=True, env=environment, check=False)
        assert "alice" in log.stdout, log.stdout + log.stderr
