"""driver.py PEER: runs in the peer's own environment, reads paths from standard input, prints JSON lines.

First {"start": CPU seconds until it could scan}, then for each path, in order,
{"path", "flagged", "error", "cpu", "peak"}: what the peer's own entry point says of it, the CPU
seconds that it took and the process's peak of memory so far, in MB.
"""
import functools
import io
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout

SECONDS = 60
MEMORY = 6 << 30


def picklescan():
    from picklescan.scanner import scan_directory_path, scan_file_path

    def scan(path):
        result = scan_directory_path(path) if os.path.isdir(path) else scan_file_path(path)
        return result.issues_count > 0, result.scan_err
    return scan


def modelscan():
    from modelscan.modelscan import ModelScan

    def scan(path):
        result = ModelScan().scan(path)
        return bool(result["issues"]), bool(result["errors"])
    return scan


def fickling():
    from fickling.loader import scan_file

    def one(path):
        result = scan_file(path, graceful=True)
        return not result.is_safe and bool(result.results), bool(result.errors)

    def scan(path):
        if not os.path.isdir(path):
            return one(path)
        results = [one(os.path.join(folder, name)) for folder, _, names in os.walk(path) for name in names]
        return any(flagged for flagged, _ in results), any(error for _, error in results)
    return scan


def modelaudit():
    from modelaudit.core import scan_model_directory_or_file

    def scan(path):
        result = scan_model_directory_or_file(path, cache_enabled=False)
        loud = [issue for issue in result.issues if str(getattr(issue.severity, "value", issue.severity)) in ("warning", "critical")]
        return bool(loud), bool(result.has_errors) or not result.success
    return scan


def bandit():
    """Flagged: an issue of high severity and at least medium confidence; with all of them nearly every script would be."""
    from bandit.core.config import BanditConfig
    from bandit.core.manager import BanditManager

    def scan(path):
        manager = BanditManager(BanditConfig(), "file", quiet=True)
        manager.discover_files([path], recursive=True)
        manager.run_tests()
        return bool(manager.get_issue_list(sev_level="HIGH", conf_level="MEDIUM")), bool(manager.get_skipped())
    return scan


def guarddog():
    """Flagged: a score that it calls suspicious or high risk. Its rules are compiled once, not once a file as it does."""
    import yara
    yara.compile = functools.lru_cache(None)(yara.compile)
    from guarddog.analyzer.analyzer import Analyzer
    from guarddog.ecosystems import ECOSYSTEM
    analyzer = Analyzer(ECOSYSTEM.PYPI)

    def scan(path):
        with tempfile.TemporaryDirectory() as folder:
            if os.path.isdir(path):
                shutil.copytree(path, os.path.join(folder, "package"), symlinks=True)
            else:
                shutil.copy(path, folder)
            result = analyzer.analyze_sourcecode(folder)
        score = analyzer.calculate_package_risk_score(result)
        return score["label"] in ("suspicious", "high_risk"), bool(result["errors"])
    return scan


def used():
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = sum(usage.ru_utime + usage.ru_stime for usage in (own, children))
    return seconds, max(own.ru_maxrss, children.ru_maxrss) / 1024


def out_of_time(*_):
    raise TimeoutError


def main():
    out, paths = sys.stdout, sys.stdin.read().splitlines()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    signal.signal(signal.SIGALRM, out_of_time)
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        scan = {"picklescan": picklescan, "modelscan": modelscan, "fickling": fickling, "modelaudit": modelaudit,
                "bandit": bandit, "guarddog": guarddog}[sys.argv[1]]()
    before, _ = used()
    print(json.dumps({"start": before}), file=out, flush=True)
    for path in paths:
        flagged, error = False, ""
        signal.alarm(SECONDS)
        try:
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                flagged, failed = scan(path)
            error = "reported" if failed else ""
        except BaseException as problem:  # whatever a peer dies of is its answer
            error = type(problem).__name__
        signal.alarm(0)
        after, peak = used()
        print(json.dumps({"path": path, "flagged": bool(flagged), "error": error, "cpu": round(after - before, 4), "peak": round(peak)}), file=out, flush=True)
        before = after


main()
