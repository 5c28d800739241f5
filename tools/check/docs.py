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


# The rules of priority 0 that the operator's page has to answer for.
RULES = ("T1 T2 T3 T4 T6 T7 T9 W1 W2 W5 W6 W8 W9 W10 W12 Q1 Q2 Q3 Q5 Q6 Q7 Q9 A1 A3 A4 A5 A6 A7 A8 A9 A12 "
         "S1 S2 S3 S4 S7 L1 L2 L3 R3 SEC7").split()


def existing_tests():
    tests = set()
    for source in (ROOT / "unit").rglob("*_test.cc"):
        tests |= {f"{suite}.{name}" for suite, name in
                  re.findall(r"^TEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\)", source.read_text(encoding="utf-8"), re.M)}
    for source in (ROOT / "e2e").glob("test_*.py"):
        tests |= {f"e2e/{source.name}::{name}" for name in re.findall(r"^def (test_\w+)", source.read_text(encoding="utf-8"), re.M)}
    return tests


def rule_errors(page="docs/reference/operator-rules.md"):
    """Each rule has a row with a test that exists, or says why it does not apply."""
    tests, answered = existing_tests(), set()
    for line in (ROOT / page).read_text(encoding="utf-8").splitlines():
        rule = re.match(r"\| ([A-Z]+\d+) ", line)
        if not rule:
            continue
        named = re.findall(r"`([A-Z]\w+\.\w+|e2e/\w+\.py::\w+)`", line)
        for name in named:
            if name not in tests:
                yield f"{page}: {rule[1]} names {name}, which does not exist"
        if named or "does not apply:" in line:
            answered.add(rule[1])
    for rule in RULES:
        if rule not in answered:
            yield f"{page}: no test and no reason for {rule}"


def main():
    reasons = constants("operator/controllers/reasons.h", r'kReason\w+\[\] = "(\w+)"')
    metrics = constants("lib/metrics/names.h", r'= "(\w+)"')
    # A Rule of a profile is a PolicyRule of Kubernetes; its page explains its keys.
    keys = operator_keys() - {"apiGroups", "resources", "resourceNames", "verbs"}
    conditions = constants("operator/model/conditions.h", r'\[\] = "(\w+)"')
    pages = [("docs/reference/conditions.md", reasons, explained("docs/reference/conditions.md", r"`(\w+)`") - (conditions - reasons)),
             ("docs/reference/metrics.md", metrics, explained("docs/reference/metrics.md", r"`(\w+)`")),
             ("docs/reference/operator-config.md", keys, explained("docs/reference/operator-config.md", r"(\w+)(?:\[\])?"))]
    events = constants("operator/controllers/event_reasons.h", r'kEvent\w+\[\] = "(\w+)"')
    pages.append(("docs/reference/events.md", events, explained("docs/reference/events.md", r"`(\w+)`")))
    errors = 0
    for page, code, page_names in pages:
        for name in sorted(code - page_names):
            print(f"docs: {page} does not explain {name}")
            errors += 1
        for name in sorted(page_names - code):
            print(f"docs: {page} explains {name}, which the code does not have")
            errors += 1
    for error in rule_errors():
        print(f"docs: {error}")
        errors += 1
    print(f"docs: {len(pages) + 1} pages, {errors} errors")
    return 1 if errors else 0


if __name__ == "__main__":
    raise SystemExit(main())
