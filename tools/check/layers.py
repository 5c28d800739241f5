#!/usr/bin/env python3
"""Holds the layer order of docs/architecture.md: a target may depend only on lower layers, and a source file may
include only what its target depends on.

usage: layers.py LAYERS_TXT   (written by CMake: "target folder: dep dep")
"""
import pathlib
import re
import sys

# Higher number = higher layer. A dependency must point strictly downward, or stay inside one component.
RANK = {
    "api": 1, "base": 0, "log": 1, "metrics": 1, "net": 2, "json": 2, "kube": 3,
    "wire": 4, "secrets": 4, "sql": 4, "rest": 4,
    "agent": 5, "endpoint": 5, "operator": 5, "cli": 5,
}
PURE = ("operator/model", "operator/rollout")  # no I/O header may be included here
IO_HEADERS = re.compile(r'#include [<"](lib/(net|rest|sql|kube)/|asio|boost/asio|curl/|grpcpp|sys/socket)')


def component(folder):
    parts = folder.split("/")
    return parts[1] if parts[0] == "lib" else parts[0]


def main():
    root = pathlib.Path(__file__).resolve().parents[2]
    folders, errors = {}, []
    for line in pathlib.Path(sys.argv[1]).read_text().splitlines():
        head, _, deps = line.partition(":")
        if head:
            target, folder = head.split()
            folders[target] = (folder, deps.split())
    for target, (folder, deps) in folders.items():
        if folder.startswith(("unit", "bench")):
            continue
        mine = component(folder)
        if mine not in RANK:
            errors.append(f"{folder}: no rank in tools/check/layers.py")
            continue
        for dep in deps:
            if dep not in folders:
                errors.append(f"{target}: depends on unknown target {dep}")
                continue
            other = component(folders[dep][0])
            if other != mine and RANK.get(other, 99) >= RANK[mine]:
                errors.append(f"{target} ({folder}) may not depend on {dep}: not a lower layer")
        for source in sorted((root / folder).glob("*.[ch]*")):
            if source.suffix not in (".cc", ".h"):
                continue
            for include in re.findall(r'#include "((?:lib|agent|endpoint|operator|cli)/[^"]+)"', source.read_text()):
                other = component(include)
                if other != mine and RANK.get(other, 99) >= RANK[mine]:
                    errors.append(f"{source.relative_to(root)} includes {include}: not a lower layer")
            if folder.startswith(PURE) and IO_HEADERS.search(source.read_text()):
                errors.append(f"{source.relative_to(root)} includes an I/O header; {folder} is pure")
    for error in errors:
        print(f"layers: {error}")
    print(f"layers: {len(folders)} targets, {len(errors)} errors")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
