"""driver.py PEER: runs in the peer's own environment, reads paths from standard input, prints JSON lines.

{"path", "flagged", "error"}: through the peer's own entry point for one path, without its start-up.
"""
import io
import json
import os
import sys
from contextlib import redirect_stderr, redirect_stdout


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


def main():
    scan = {"picklescan": picklescan, "modelscan": modelscan, "fickling": fickling, "modelaudit": modelaudit}[sys.argv[1]]()
    out = sys.stdout
    for path in sys.stdin.read().splitlines():
        flagged, error = False, ""
        try:
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                flagged, failed = scan(path)
            error = "reported" if failed else ""
        except BaseException as problem:  # whatever a peer dies of is its answer
            error = type(problem).__name__
        print(json.dumps({"path": path, "flagged": bool(flagged), "error": error}), file=out, flush=True)


main()
