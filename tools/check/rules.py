#!/usr/bin/env python3
"""Holds docs/reference/operator-rules.md to the tests: each rule of priority 0 names tests that exist, or says why it does
not apply."""
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]

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
    errors = list(rule_errors())
    for error in errors:
        print(f"rules: {error}")
    print(f"rules: {len(RULES)} rules, {len(errors)} errors")
    return 1 if errors else 0


if __name__ == "__main__":
    raise SystemExit(main())
