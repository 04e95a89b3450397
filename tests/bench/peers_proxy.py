"""peers_proxy.py [--rounds N] [--gigabytes N] [--only NAME...]: the gate as HTTPS_PROXY beside others.

All of them open TLS with an authority of their own and pass the same safetensors file and the same 1 KiB
of JSON from the same nginx, to curl and to wrk (which learns CONNECT from through_proxy.c). CPU seconds
are of the whole process tree: the gate's with its workers and its signer, squid's with its certificate
helpers, and with c-icap and clamd.

  gate       hashes and scans every byte, default policy
  squid      ssl-bump; looks at nothing
  clamav     squid with c-icap (virus_scan) and clamd. No signatures can be had without the internet: its
             database is one hand-written line, so that its scan is as cheap as it can be. All limits are
             raised as far as they go (clamd: 2 GiB less a byte), from defaults of 5 MB and 100 MB; whether
             it then sees the one marker that it knows at the end of a file of the same size is in the table
  mitm       mitmproxy, streaming; looks at nothing
  mitm-whole mitmproxy as it is by default: it holds each body until it is there

Prints medians, ratios and whether the targets are met; exits 1 when one is missed.
"""
from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from measure import HUBGATE, WORK, cpu_seconds, median, pss_bytes, table, verdict
from others import python_of
from proxy import INFO, MODEL, model, upstream

from gate import free_port
from servers import wait_for_port

HERE = Path(__file__).resolve().parent
HOME = WORK / "peers-proxy"
BAD = "/bench/model/resolve/main/bad.safetensors"
MARKER = b"hubgate benchmark: the one signature of clamd"
NAMES = ["gate", "squid", "clamav", "mitm", "mitm-whole"]


def openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=WORK, check=True, capture_output=True)


def certificates() -> None:
    """Of the hub (localhost), by itself; and an authority for those who open TLS."""
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    openssl("req", "-x509", *key, "-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    openssl("req", "-x509", *key, "-keyout", "bump.key", "-out", "bump.pem", "-subj", "/CN=bench", "-addext", "basicConstraints=critical,CA:TRUE",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    (WORK / "bump-both.pem").write_text((WORK / "bump.key").read_text() + (WORK / "bump.pem").read_text())
    (WORK / "bump-both.pem").chmod(0o644)


class Proxy:
    """Some processes that are an HTTPS_PROXY together."""

    def __init__(self, name: str, hub_port: int):
        self.name, self.hub_port, self.port = name, hub_port, free_port()
        self.folder = HOME / name
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.processes: list[subprocess.Popen] = []
        self.authority = WORK / "bump.pem"
        try:
            {"gate": self.gate, "squid": self.squid, "clamav": self.clamav, "mitm": self.mitm, "mitm-whole": self.mitm}[name]()
            wait_for_port(self.port, 60)
        except BaseException:
            self.end()
            raise

    def run(self, *command, **options) -> None:
        log = (self.folder / "log").open("ab")
        self.processes.append(subprocess.Popen([str(word) for word in command], stdout=log, stderr=log, stdin=subprocess.DEVNULL, **options))

    def gate(self) -> None:
        config = self.folder / "hubgate.yaml"
        config.write_text(f"upstream: https://localhost:{self.hub_port}\ntls: {{upstream_ca: {WORK}/cert.pem}}\nproxy: {{ports: [{self.hub_port}]}}\n")
        self.run(HUBGATE, "serve", "--listen", f"127.0.0.1:{free_port()}", "--proxy", f"127.0.0.1:{self.port}", "--data", self.folder / "data", "--config", config)
        self.authority = self.folder / "data/ca/ca.pem"

    def squid(self, more: str = "") -> None:
        certificates_of = self.folder / "certificates"
        helper = next(path for path in ("/usr/lib/squid/security_file_certgen", "/usr/lib64/squid/security_file_certgen") if Path(path).exists())
        subprocess.run([helper, "-c", "-s", certificates_of, "-M", "4MB"], check=True, capture_output=True)
        self.folder.chmod(0o777)
        user = "nobody"
        if os.geteuid() == 0:  # squid does not run as root
            user = "proxy"
            for path in [certificates_of, *certificates_of.rglob("*")]:
                shutil.chown(path, user)
        (self.folder / "squid.conf").write_text(f"""
            pid_filename none
            access_log none
            cache_log {self.folder}/squid.log
            cache_store_log none
            cache deny all
            cache_effective_user {user}
            shutdown_lifetime 0 seconds
            http_port 127.0.0.1:{self.port} ssl-bump generate-host-certificates=on dynamic_cert_mem_cache_size=4MB tls-cert={WORK}/bump-both.pem
            sslcrtd_program {helper} -s {certificates_of} -M 4MB
            tls_outgoing_options cafile={WORK}/cert.pem
            ssl_bump bump all
            http_access allow all
            visible_hostname squid.invalid
            {more}
            """.replace("\n            ", "\n"))
        self.run("/usr/sbin/squid", "-N", "-n", f"bench{self.port}", "-f", self.folder / "squid.conf")

    def clamav(self) -> None:
        database = self.folder / "database"
        database.mkdir()
        (database / "bench.ndb").write_text(f"Bench.Marker:0:*:{MARKER.hex()}\n")
        (self.folder / "clamd.conf").write_text(f"""
            DatabaseDirectory {database}
            LocalSocket {self.folder}/clamd.socket
            Foreground yes
            User root
            MaxThreads 8
            StreamMaxLength 4000M
            MaxScanSize 4000M
            MaxFileSize 2147483647
            MaxScanTime 0
            TemporaryDirectory {self.folder}
            """.replace("\n            ", "\n"))
        self.run("/usr/sbin/clamd", "-c", self.folder / "clamd.conf")
        icap = free_port()
        (self.folder / "c-icap.conf").write_text(f"""
            PidFile {self.folder}/c-icap.pid
            CommandsSocket {self.folder}/c-icap.ctl
            Timeout 300
            MaxKeepAliveRequests 100000
            KeepAliveTimeout 600
            StartServers 1
            MaxServers 2
            MinSpareThreads 10
            MaxSpareThreads 50
            ThreadsPerChild 40
            Port 127.0.0.1:{icap}
            TmpDir {self.folder}
            MaxMemObject 131072
            DebugLevel 0
            Pipelining on
            ModulesDir /usr/lib/x86_64-linux-gnu/c_icap
            ServicesDir /usr/lib/x86_64-linux-gnu/c_icap
            TemplateDir /usr/share/c_icap/templates/
            LoadMagicFile /etc/c-icap/c-icap.magic
            ServerLog {self.folder}/server.log
            AccessLog /dev/null
            Service antivirus_module virus_scan.so
            ServiceAlias avscan virus_scan?allow204=on&sizelimit=off&mode=simple
            virus_scan.ScanFileTypes TEXT DATA EXECUTABLE ARCHIVE GIF JPEG MSOFFICE
            virus_scan.SendPercentData 5
            virus_scan.StartSendPercentDataAfter 2M
            virus_scan.MaxObjectSize 4000M
            virus_scan.DefaultEngine clamd
            Module common clamd_mod.so
            clamd_mod.ClamdSocket {self.folder}/clamd.socket
            """.replace("\n            ", "\n"))
        deadline = time.monotonic() + 60
        while not (self.folder / "clamd.socket").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        self.run("/usr/bin/c-icap", "-N", "-f", self.folder / "c-icap.conf")
        wait_for_port(icap)
        self.squid(f"""icap_enable on
icap_preview_enable on
icap_service scan respmod_precache icap://127.0.0.1:{icap}/avscan bypass=off
adaptation_access scan allow all""")

    def mitm(self) -> None:
        settings = self.folder / "settings"
        settings.mkdir()
        shutil.copy(WORK / "bump-both.pem", settings / "mitmproxy-ca.pem")
        streaming = ["--set", "stream_large_bodies=1m"] if self.name == "mitm" else []
        self.run(python_of("mitmproxy").with_name("mitmdump"), "-q", "--listen-host", "127.0.0.1", "--listen-port", self.port, "--set", f"confdir={settings}",
                 "--set", f"ssl_verify_upstream_trusted_ca={WORK}/cert.pem", "--set", "http2=false", *streaming)

    def cpu(self) -> float:
        return sum(cpu_seconds(process.pid) for process in self.processes)

    def memory(self) -> int:
        return sum(pss_bytes(process.pid) for process in self.processes)

    def pull(self, url: str) -> tuple[float, float, int, bool]:
        """Seconds, seconds to the first byte, status, whether all of it came."""
        deadline = time.monotonic() + 30
        while not self.authority.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        done = subprocess.run(["curl", "-sS", "--max-time", "300", "--noproxy", "", "--proxy", f"http://127.0.0.1:{self.port}", "--cacert", self.authority, "-o", "/dev/null",
                               "-w", "%{time_total} %{time_starttransfer} %{http_code}", f"https://localhost:{self.hub_port}{url}"],
                              capture_output=True, text=True, check=False)
        total, first, status = done.stdout.split()
        return float(total), float(first), int(status), done.returncode == 0

    def requests(self, shim: Path) -> float:
        environment = {**os.environ, "LD_PRELOAD": str(shim), "THROUGH_TARGET": str(self.hub_port), "THROUGH_PROXY": str(self.port)}
        done = subprocess.run(["wrk", "-t1", "-c32", "-d5s", f"https://localhost:{self.hub_port}{INFO}"], env=environment, capture_output=True, text=True, check=True)
        if "Non-2xx" in done.stdout:
            raise SystemExit(f"{self.name}: {done.stdout}")
        return float(done.stdout.split("Requests/sec:")[1].split()[0])

    def stop(self) -> None:
        self.end()
        shutil.rmtree(self.folder, ignore_errors=True)

    def end(self) -> None:
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def measure(names: list[str], hub_port: int, shim: Path, size: int, rounds: int) -> dict[str, dict[str, list[float]]]:
    results: dict[str, dict[str, list[float]]] = {name: {"speed": [], "cpu": [], "first": [], "rate": [], "bad": [], "memory": []} for name in names}
    for number in range(rounds):
        for name in names:
            proxy, found = Proxy(name, hub_port), results[name]
            try:
                if not proxy.pull(INFO)[3]:
                    raise SystemExit(f"{name} passes nothing: {(proxy.folder / 'log').read_text()[-2000:]}")
                before = proxy.cpu()
                seconds, first, status, whole = proxy.pull(MODEL)
                time.sleep(0.3)
                if name == "clamav" and not whole:  # nothing is measured of a road that does not pass the file
                    print(f"  clamav did not pass {size >> 20} MiB: {status}, {seconds:.0f} s")
                    continue
                if status != 200 or not whole:
                    raise SystemExit(f"{name}: {status} for the large file, whole: {whole}")
                found["cpu"].append((proxy.cpu() - before) / (size / 1e9))
                found["speed"].append(size / 1e9 / seconds)
                found["first"].append(first * 1000)
                found["memory"].append(proxy.memory() / 1e6)
                if name == "clamav" and number == 0:
                    _, _, status, whole = proxy.pull(BAD)
                    found["bad"].append(0 if status == 200 and whole else 1)
                found["rate"].append(proxy.requests(shim))
            finally:
                proxy.stop()
    return results


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--gigabytes", type=float, default=2)
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES)
    arguments = parser.parse_args()
    HOME.mkdir(parents=True, exist_ok=True)
    certificates()
    shim = HOME / "through_proxy.so"
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", shim, HERE / "through_proxy.c"], check=True)
    size = int(arguments.gigabytes * (1 << 30)) >> 20 << 20
    file, bad = WORK / "model.safetensors", WORK / "bad.safetensors"
    files = {MODEL: (file, model(file, size, "w"))}
    shutil.copyfile(file, bad)
    with bad.open("r+b") as out:
        out.seek(-len(MARKER), 2)
        out.write(MARKER)
    files[BAD] = (bad, "0" * 64)
    hub = upstream(files)
    try:
        results = measure(arguments.only, hub.port, shim, size, arguments.rounds)
    finally:
        hub.stop()
        file.unlink()
        bad.unlink()
    middle = {name: {what: median(values) if values else 0.0 for what, values in found.items()} for name, found in results.items()}
    rows = [[name, found["speed"], found["cpu"], found["first"], found["memory"], f"{found['rate']:.0f}"] for name, found in middle.items()]
    table(f"{size / (1 << 30):g} GiB safetensors, and 1 KiB of JSON over 32 connections, through HTTPS_PROXY; median of {arguments.rounds}",
          ["", "GB/s", "CPU s/GB", "first byte ms", "PSS MB", "requests/s"], rows)
    if "clamav" in results and results["clamav"]["bad"]:
        print(f"  clamav, a file of this size that ends in its marker: {'blocked' if middle['clamav']['bad'] else 'LET THROUGH'}")
    if not {"gate", "squid"} <= set(middle):
        return 0
    good = verdict("CPU per GB, gate / squid", middle["gate"]["cpu"] / middle["squid"]["cpu"], 0.6)
    return 0 if verdict("requests per second, gate / squid", middle["gate"]["rate"] / middle["squid"]["rate"], 1.8, at_most=False) and good else 1


if __name__ == "__main__":
    sys.exit(main())
