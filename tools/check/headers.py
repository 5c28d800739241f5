#!/usr/bin/env python3
"""Compiles each of our headers alone, with the include paths of a configured build folder.

usage: headers.py BUILD_DIR
"""
import concurrent.futures
import os
import pathlib
import subprocess
import sys


def main():
    root = pathlib.Path(__file__).resolve().parents[2]
    build = pathlib.Path(sys.argv[1]).resolve()
    listed = subprocess.run(["git", "ls-files", "*.h"], cwd=root, capture_output=True, text=True, check=True).stdout.split()
    headers = [h for h in listed if (root / h).exists()]
    includes = ["-I", str(root), "-I", str(build), "-isystem", "/usr/include/jsoncpp"]

    def alone(header):
        text = f'#include "{header}"\n#include "{header}"\n'
        command = ["ccache"] if subprocess.run(["which", "ccache"], capture_output=True).returncode == 0 else []
        command += ["g++", "-std=c++20", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Wno-missing-field-initializers", "-Werror", "-fsyntax-only", *includes, "-x", "c++", "-"]
        return header, subprocess.run(command, input=text, capture_output=True, text=True, cwd=root)

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
