#!/usr/bin/env python3
"""Holds the manifests to what they must be: the CRDs are those of crds/, and the operator's own rights name everything."""
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]


def main():
    errors = []
    sources = sorted((ROOT / "crds").glob("*.yaml"))
    for source in sources:
        copy = ROOT / "charts/fairlead-crds/templates" / source.name.removeprefix("fairlead.dev_")
        if not copy.is_file() or copy.read_bytes() != source.read_bytes():
            errors.append(f"{copy.relative_to(ROOT)} differs: cp {source.relative_to(ROOT)} {copy.relative_to(ROOT)}")
    # Profiles, which agents get, come from the values; what stands in the template is the operator's.
    rights = ROOT / "charts/fairlead/templates/rbac.yaml"
    for number, line in enumerate(rights.read_text(encoding="utf-8").splitlines(), 1):
        if "*" in line or "escalate" in line or "impersonate" in line:
            errors.append(f"{rights.relative_to(ROOT)}:{number}: no wildcard, escalate or impersonate for the operator")
    for error in errors:
        print(f"manifests: {error}")
    print(f"manifests: {len(sources)} CRDs, {len(errors)} errors")
    return 1 if errors else 0


if __name__ == "__main__":
    raise SystemExit(main())
