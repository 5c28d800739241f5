#!/usr/bin/env python3
"""Runs clang-tidy 14 (.clang-tidy) over product sources; prints what it finds and a closing line.

usage: tidy.py BUILD_DIR [FILE...]
Without files: those that differ from the merge base with TIDY_BASE (default origin/main, else main), uncommitted and
untracked ones included; with ALL=1 every one. Exit code 1 when something was found or a file could not be read.
"""
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys

FOLDERS = ("lib/", "agent/", "endpoint/", "operator/", "cli/", "api/v1alpha1/")
# The database holds gcc's flags; clang does not know all of gcc's warnings.
EXTRA = ["--quiet", "--extra-arg=-Wno-unknown-warning-option", "--extra-arg=-Wno-error"]


def git(*arguments):
    return subprocess.run(["git", *arguments], capture_output=True, text=True)


def changed():
    """What it is compared with, and the names of the files that differ."""
    for base in (os.environ.get("TIDY_BASE"), "origin/main", "main"):
        if base:
            merged = git("merge-base", "HEAD", base)
            if merged.returncode == 0:
                names = git("diff", "--name-only", merged.stdout.strip()).stdout.splitlines()
                return base, {*names, *git("ls-files", "--others", "--exclude-standard").stdout.splitlines()}
    sys.exit("tidy: no branch to compare with; set TIDY_BASE, or ALL=1 for all files")


def main():
    build, named = sys.argv[1], sys.argv[2:]
    database = json.loads((pathlib.Path(build) / "compile_commands.json").read_text())
    root = pathlib.Path.cwd()
    known = {os.path.relpath(os.path.join(entry["directory"], entry["file"]), root) for entry in database}
    sources = sorted(source for source in known if source.startswith(FOLDERS))
    if named:
        sources = named
    elif not os.environ.get("ALL"):
        base, names = changed()
        # A changed header is seen through the source beside it.
        sources = [source for source in sources if source in names or source[:-2] + "h" in names]
        print(f"tidy: {len(sources)} files changed against {base}; ALL=1 checks all", flush=True)

    def run(source):
        return source, subprocess.run(["clang-tidy-14", "-p", build, *EXTRA, source], capture_output=True, text=True)

    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for source, done in pool.map(run, sources):
            if done.returncode != 0:
                failed += 1
                print(done.stdout or done.stderr, flush=True)
            print(f"tidy: {source}: {'failed' if done.returncode else 'ok'}", flush=True)
    print(f"{len(sources) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
