"""The verdict: are the endpoint's rows exactly what the API server's own lists say?

Opens the database itself, works out from the account's spec and the server's discovery which kinds and objects there
should be, decodes every stored body, and compares key, uid and content with fresh quorum lists of every served kind in
scope. Shares no code with the product: scope and cut rules stand here a second time on purpose.

usage: python -m e2e.support.verdict DATABASE ACCOUNT KUBECONFIG      DATABASE: an SQLite file or a URL
"""
import hashlib
import json
import sqlite3
import sys
import time
import urllib.parse
from typing import NamedTuple

import zstandard

from e2e.support.scope import Scope, served_kinds

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


class Row(NamedTuple):
    uid: str
    body: dict
    held: bool
    hash_matches: bool


def cut(item, secret):
    """What is left of an object after the cut rules, version 1; `secret` = a Secret whose values stay home."""
    item = {key: value for key, value in item.items() if key not in ("apiVersion", "kind")}
    metadata = {key: value for key, value in item["metadata"].items() if key not in ("resourceVersion", "managedFields")}
    if LAST_APPLIED in metadata.get("annotations", {}):
        metadata["annotations"] = {k: v for k, v in metadata["annotations"].items() if k != LAST_APPLIED}
    item["metadata"] = metadata
    if secret:
        item = {key: value for key, value in item.items() if key not in ("data", "stringData")}
    return item


class ServerDatabase:
    """PostgreSQL or MariaDB, asked as SQLite is: question marks, and tuples of str, int and bytes."""

    def __init__(self, url):
        place = urllib.parse.urlsplit(str(url))
        options = dict(urllib.parse.parse_qsl(place.query))
        if place.scheme == "postgresql":
            import psycopg
            self.connection = psycopg.connect(str(url), autocommit=True)
        else:
            import pymysql
            self.connection = pymysql.connect(host=place.hostname or "localhost", port=place.port or 3306, user=place.username,
                                              unix_socket=options.get("socket"), database=place.path[1:], autocommit=True)

    def execute(self, query, values=()):
        cursor = self.connection.cursor()
        cursor.execute(query.replace("%", "%%").replace("?", "%s"), values)
        return cursor

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.connection.close()


def open_database(database):
    """`database`: an SQLite file, or the URL of a server's."""
    if "://" in str(database):
        return ServerDatabase(database)
    return sqlite3.connect(f"file:{database}?mode=ro", uri=True, isolation_level=None)


def text(value):
    """MariaDB keeps names as bytes."""
    return value.decode() if isinstance(value, bytes) else value


def stored_scope(connection, account):
    return Scope(json.loads(connection.execute("SELECT spec FROM accounts WHERE name = ?", (account,)).fetchone()[0]))


def stored_rows(connection, account):
    """{(group, resource): {(namespace, name): Row}}, and lines about rows that stand twice."""
    kinds = connection.execute(
        "SELECT k.id, k.api_group, k.resource FROM kinds k JOIN shards s ON s.id = k.shard "
        "JOIN accounts a ON a.uid = s.account WHERE a.name = ?", (account,)).fetchall()
    rows, twice = {}, []
    for kind_id, group, resource in kinds:
        own = rows.setdefault((text(group), text(resource)), {})
        for namespace, name, uid, held, content_hash, body in connection.execute(
                "SELECT namespace, name, uid, held, content_hash, body FROM objects WHERE kind = ?", (kind_id,)):
            namespace, name = text(namespace), text(name)
            if (namespace, name) in own:
                twice.append(f"{text(resource)} {namespace, name}: two rows")
            raw = zstandard.ZstdDecompressor().decompress(body)
            own[namespace, name] = Row(uid, json.loads(raw), held != 0, hashlib.sha256(raw).digest()[:16] == content_hash)
    return rows, twice


def compare_object(row, item, secret):
    """What is wrong with the row of one object, as words; "" when nothing is."""
    if row.uid != item["metadata"]["uid"]:
        return f"uid {row.uid}, should be {item['metadata']['uid']}"
    if row.body != cut(item, secret):
        return "content differs"
    if not row.hash_matches:
        return "the content hash is not that of the body"
    return "held for deletion, and the object is there" if row.held else ""


def judge(scope, rows_by_kind, api):
    """What differs, as text lines; empty when the rows are exactly the lists. Also how many objects were compared."""
    rows_by_kind, found, compared = dict(rows_by_kind), [], 0
    for kind in filter(scope.has_kind, served_kinds(api)):
        known = (kind.group, kind.resource) in rows_by_kind
        rows = rows_by_kind.pop((kind.group, kind.resource), {})
        listed = {(item["metadata"].get("namespace", ""), item["metadata"]["name"]): item
                  for item in api.list_all(kind.path) if scope.has_object(item)}
        if listed and not known:
            found.append(f"{kind.resource}.{kind.group}: served, in scope, {len(listed)} objects, and the store does not know the kind")
            continue
        secret = (kind.group, kind.resource) == ("", "secrets") and not scope.keeps_secret_data
        for key in sorted(rows.keys() - listed.keys()):
            found.append(f"{kind.resource} {key}: a row without an object")
        for key in sorted(listed.keys() - rows.keys()):
            found.append(f"{kind.resource} {key}: an object without a row")
        for key in rows.keys() & listed.keys():
            compared += 1
            wrong = compare_object(rows[key], listed[key], secret)
            if wrong:
                found.append(f"{kind.resource} {key}: {wrong}")
    for (group, resource), rows in rows_by_kind.items():
        if rows:
            found.append(f"{resource}.{group}: {len(rows)} rows of a kind that is not served or not in scope")
    return found, compared


def differences(database, account, api):
    """judge() of an account's rows in a database."""
    connection = open_database(database)
    rows, twice = stored_rows(connection, account)
    scope = stored_scope(connection, account)
    connection.close()
    found, compared = judge(scope, rows, api)
    return twice + found, compared


def wait_until(ask, seconds, at_least=1):
    """Asks until there is no difference; the last ones when there still are after that time."""
    deadline = time.monotonic() + seconds
    while True:
        found, compared = ask()
        if not found and compared >= at_least:
            return compared
        if time.monotonic() > deadline:
            raise AssertionError(f"{len(found)} differences, {compared} objects compared:\n" + "\n".join(found[:20]))
        time.sleep(0.2)


def wait_until_equal(database, account, api, seconds=20, at_least=1):
    return wait_until(lambda: differences(database, account, api), seconds, at_least)


def main():
    from e2e.support.api import Api
    found, compared = differences(sys.argv[1], sys.argv[2], Api(sys.argv[3]))
    for line in found[:50]:
        print(line)
    print(f"verdict: {compared} objects compared, {len(found)} differences")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
