#!/usr/bin/env python3
"""Runs every unit test binary of a build folder; prints the failures and a closing line with counts.

usage: unit.py BUILD_DIR [--time-limit SECONDS] [NAME...]
Exit code 1 when a test failed, a binary crashed, or no test ran at all.
"""
import concurrent.futures
import os
import pathlib
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree


def run(binary, limit):
    with tempfile.NamedTemporaryFile(suffix=".xml") as report:
        try:
            done = subprocess.run([str(binary), f"--gtest_output=xml:{report.name}"], capture_output=True,
                                  timeout=limit, text=True, errors="replace")
            output, code = done.stdout + done.stderr, done.returncode
        except subprocess.TimeoutExpired as late:
            return 0, 1, 0, f"{binary.name}: no end after {limit} s\n{(late.stdout or b'')[-2000:]}"
        try:
            root = ElementTree.parse(report.name).getroot()
        except ElementTree.ParseError:
            return 0, 1, 0, f"{binary.name}: ended with {code} and no report\n{output[-8000:]}"
    total, failed = int(root.get("tests")), int(root.get("failures"))
    skipped = sum(1 for case in root.iter("testcase") if case.find("skipped") is not None)
    if code != 0 and failed == 0:
        failed = 1
    return total - failed - skipped, failed, skipped, output[-8000:] if failed else ""


def main():
    arguments = sys.argv[1:]
    limit = 300
    if "--time-limit" in arguments:
        at = arguments.index("--time-limit")
        limit = int(arguments[at + 1])
        del arguments[at:at + 2]
    folder = pathlib.Path(arguments[0]) / "unit"
    names = arguments[1:]
    binaries = sorted(p for p in folder.glob("unit_*") if p.is_file() and os.access(p, os.X_OK))
    if names:
        binaries = [b for b in binaries if b.name in names]
    passed = failed = skipped = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for binary, result in zip(binaries, pool.map(lambda b: run(b, limit), binaries)):
            passed, failed, skipped = passed + result[0], failed + result[1], skipped + result[2]
            print(f"{binary.name}: {result[0]} passed, {result[1]} failed, {result[2]} skipped", flush=True)
            if result[3]:
                print(result[3])
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
