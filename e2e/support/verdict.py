"""The verdict: are the endpoint's rows exactly what the API server's own lists say?

Opens the database itself, decodes every stored body, and compares key, uid and content with fresh
quorum lists. Shares no code with the product: the cut rules stand here a second time on purpose.

usage: python -m e2e.support.verdict DATABASE ACCOUNT KUBECONFIG
"""
import json
import sqlite3
import sys
import time

import zstandard

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def cut(item, kind):
    """What is left of an object after the cut rules, version 1."""
    item = {key: value for key, value in item.items() if key not in ("apiVersion", "kind")}
    metadata = {key: value for key, value in item["metadata"].items() if key not in ("resourceVersion", "managedFields")}
    if LAST_APPLIED in metadata.get("annotations", {}):
        metadata["annotations"] = {k: v for k, v in metadata["annotations"].items() if k != LAST_APPLIED}
    item["metadata"] = metadata
    if kind == "Secret":
        item = {key: value for key, value in item.items() if key not in ("data", "stringData")}
    return item


def stored_rows(database, account):
    """{(group, resource): {(namespace, name): (uid, body)}} and the kinds' versions."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        kinds = connection.execute(
            "SELECT k.id, k.api_group, k.version, k.resource, k.kind FROM kinds k JOIN shards s ON s.id = k.shard "
            "JOIN accounts a ON a.uid = s.account WHERE a.name = ?", (account,)).fetchall()
        rows = {}
        for kind_id, group, version, resource, kind in kinds:
            own = {}
            for namespace, name, uid, body in connection.execute(
                    "SELECT namespace, name, uid, body FROM objects WHERE kind = ?", (kind_id,)):
                own[namespace, name] = (uid, json.loads(zstandard.ZstdDecompressor().decompress(body)))
            rows[group, version, resource, kind] = own
        return rows


def differences(database, account, api):
    """What differs, as text lines; empty when the rows are exactly the lists. Also how much was compared."""
    found, compared = [], 0
    for (group, version, resource, kind), rows in stored_rows(database, account).items():
        path = f"/api/{version}/{resource}" if not group else f"/apis/{group}/{version}/{resource}"
        listed = {(item["metadata"].get("namespace", ""), item["metadata"]["name"]): item for item in api.list_all(path)}
        for key in sorted(rows.keys() - listed.keys()):
            found.append(f"{resource} {key}: a row without an object")
        for key in sorted(listed.keys() - rows.keys()):
            found.append(f"{resource} {key}: an object without a row")
        for key in rows.keys() & listed.keys():
            uid, body = rows[key]
            compared += 1
            if uid != listed[key]["metadata"]["uid"]:
                found.append(f"{resource} {key}: uid {uid}, should be {listed[key]['metadata']['uid']}")
            elif body != cut(listed[key], kind):
                found.append(f"{resource} {key}: content differs")
    return found, compared


def wait_until_equal(database, account, api, seconds=20, at_least=1):
    """Asks until rows and lists agree; the last differences when they do not in time."""
    deadline = time.monotonic() + seconds
    while True:
        found, compared = differences(database, account, api)
        if not found and compared >= at_least:
            return compared
        if time.monotonic() > deadline:
            raise AssertionError(f"{len(found)} differences, {compared} objects compared:\n" + "\n".join(found[:20]))
        time.sleep(0.2)


def main():
    from e2e.support.api import Api
    found, compared = differences(sys.argv[1], sys.argv[2], Api(sys.argv[3]))
    for line in found[:50]:
        print(line)
    print(f"verdict: {compared} objects compared, {len(found)} differences")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
