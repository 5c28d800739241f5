#!/usr/bin/env python3
"""Holds the reference pages to the code: every name in the code is explained, and no page explains what is not there."""
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]


def constants(path, pattern):
    return set(re.findall(pattern, (ROOT / path).read_text(encoding="utf-8")))


def explained(path, pattern):
    """Names in the first column of the page's tables."""
    names = set()
    for line in (ROOT / path).read_text(encoding="utf-8").splitlines():
        if line.startswith("|"):
            names |= set(re.findall(pattern, line.split("|")[1]))
    return names - {"key"}  # a table's head


def operator_keys():
    text = (ROOT / "operator/config/config.cc").read_text(encoding="utf-8")
    return set(re.findall(r'\.(?:String|RequiredString|Strings|Int|Map|Maps)\("(\w+)"', text))


def main():
    reasons = constants("operator/controllers/reasons.h", r'kReason\w+\[\] = "(\w+)"')
    metrics = constants("lib/metrics/names.h", r'= "(\w+)"')
    # A Rule of a profile is a PolicyRule of Kubernetes; its page explains its keys.
    keys = operator_keys() - {"apiGroups", "resources", "resourceNames", "verbs"}
    conditions = constants("operator/model/conditions.h", r'\[\] = "(\w+)"')
    pages = [("docs/reference/conditions.md", reasons, explained("docs/reference/conditions.md", r"`(\w+)`") - (conditions - reasons)),
             ("docs/reference/metrics.md", metrics, explained("docs/reference/metrics.md", r"`(\w+)`")),
             ("docs/reference/operator-config.md", keys, explained("docs/reference/operator-config.md", r"(\w+)(?:\[\])?"))]
    errors = 0
    for page, code, page_names in pages:
        for name in sorted(code - page_names):
            print(f"docs: {page} does not explain {name}")
            errors += 1
        for name in sorted(page_names - code):
            print(f"docs: {page} explains {name}, which the code does not have")
            errors += 1
    print(f"docs: {len(pages)} pages, {errors} errors")
    return 1 if errors else 0


if __name__ == "__main__":
    raise SystemExit(main())
