#!/usr/bin/env python3
"""Compiles each of our headers alone, with the include paths of a configured build folder.

usage: headers.py BUILD_DIR
"""
import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import sys


def main():
    root = pathlib.Path(__file__).resolve().parents[2]
    build = pathlib.Path(sys.argv[1]).resolve()
    listed = subprocess.run(["git", "ls-files", "*.h"], cwd=root, capture_output=True, text=True, check=True).stdout.split()
    headers = [h for h in listed if (root / h).exists()]
    includes = ["-I", str(root), "-I", str(build), "-isystem", "/usr/include/jsoncpp"]

    folder = build / "headers"
    folder.mkdir(exist_ok=True)
    # Whole objects of real files, because the compiler cache keeps no others; its settings are those of cmake/Options.cmake.
    cached = ["ccache"] if shutil.which("ccache") else []
    environment = os.environ | {"CCACHE_BASEDIR": str(root), "CCACHE_NOHASHDIR": "1", "CCACHE_SLOPPINESS": "time_macros"}

    def alone(header):
        source = folder / (header.replace("/", "__") + ".cc")
        text = f'#include "{header}"\n#include "{header}"\n'
        if not source.exists() or source.read_text() != text:
            source.write_text(text)
        command = [*cached, "g++", "-std=c++20", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Wno-missing-field-initializers", "-Werror",
                   *includes, "-c", str(source), "-o", str(source.with_suffix(".o"))]
        return header, subprocess.run(command, capture_output=True, text=True, cwd=root, env=environment)

    bad = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for header, done in pool.map(alone, headers):
            if done.returncode:
                bad += 1
                print(f"headers: {header} does not compile alone:\n{done.stderr[:1500]}")
    print(f"headers: {len(headers)} checked, {bad} errors")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
