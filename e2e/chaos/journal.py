"""Triggers in the endpoint's own database keep a copy of every change of objects and shards, in the order of commit and with
the database user that made it; a reader follows it. So nothing that was ever a row is missed, however short it was one.

Order: a shard's rows are locked until commit, by their writer, so what is of one object or one shard is numbered as it was
committed. The reader looks back a little, as numbers of others may become visible late.
"""
import re
import sqlite3
import threading
import time

import zstandard

from e2e.chaos.ledger import Fence, Landed
from e2e.support import verdict

NONCE = "chaos.fairlead.dev/nonce"
LOOK_BACK = 20
PAUSE = 0.01

_ROW = "kind, namespace, name, uid, history, resource_version, seq, content_hash, body"
_SHARD = "store, term, last_seq, replica"
_TABLES = """
CREATE TABLE chaos_rows (number {id}, op {text}, kind {int}, namespace {name}, name {name}, uid {text}, history {int},
                         resource_version {text}, seq {int}, content_hash {bytes}, body {bytes});
CREATE TABLE chaos_shards (number {id}, who {text}, store {int}, term {int}, last_seq {int}, replica {text})"""
_TYPES = {
    "sqlite": {"id": "INTEGER PRIMARY KEY", "int": "INTEGER", "text": "TEXT", "name": "TEXT", "bytes": "BLOB"},
    "postgresql": {"id": "BIGSERIAL PRIMARY KEY", "int": "BIGINT", "text": "TEXT", "name": "TEXT", "bytes": "BYTEA"},
    "mariadb": {"id": "BIGINT AUTO_INCREMENT PRIMARY KEY", "int": "BIGINT", "text": "TEXT", "name": "VARBINARY(512)",
                "bytes": "LONGBLOB"},
}
_WHO = {"sqlite": "''", "postgresql": "session_user", "mariadb": "substring_index(user(), '@', 1)"}


def _statements():
    """(trigger's name, when, table, the statement it runs)."""
    for event, side, op in (("INSERT", "NEW", "put"), ("UPDATE", "NEW", "put"), ("DELETE", "OLD", "delete")):
        values = ", ".join(f"{side}.{column}" for column in _ROW.split(", "))
        yield f"chaos_rows_{event.lower()}", event, "objects", f"INSERT INTO chaos_rows (op, {_ROW}) VALUES ('{op}', {values})"
    for event in ("INSERT", "UPDATE"):
        values = ", ".join(f"NEW.{column}" for column in _SHARD.split(", "))
        yield f"chaos_shards_{event.lower()}", event, "shards", f"INSERT INTO chaos_shards (who, {_SHARD}) VALUES ({{who}}, {values})"


def _ddl(engine):
    yield from _TABLES.format(**_TYPES[engine]).split(";")
    for name, event, table, statement in _statements():
        statement = statement.format(who=_WHO[engine])
        begins = f"CREATE TRIGGER {name} AFTER {event} ON {table} FOR EACH ROW"
        if engine == "postgresql":
            yield f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {statement}; RETURN NULL; END $$"
            yield f"{begins} EXECUTE FUNCTION {name}()"
        elif engine == "sqlite":
            yield f"{begins} BEGIN {statement}; END"
        else:
            yield f"{begins} {statement}"


def install(engine, database):
    """Before the first agent: what was a row already would be unknown."""
    connection = sqlite3.connect(database, isolation_level=None) if engine == "sqlite" else verdict.open_database(database)
    for statement in _ddl(engine):
        connection.execute(statement)
    connection.close()


class Reader(threading.Thread):
    """Tells the ledger what of `namespace` became a row, until stop(); a database that is away is asked again and again."""

    def __init__(self, database, namespace, ledger):
        super().__init__(name="journal", daemon=True)
        self._database, self._namespace, self._ledger = database, namespace, ledger
        self._known = {"chaos_rows": set(), "chaos_shards": set()}
        self._newest = dict.fromkeys(self._known, 0)
        self._resources = {}
        self._connection = None
        self._stopping = threading.Event()
        self._unpack = zstandard.ZstdDecompressor()

    def stop(self):
        """Reads what is there to the end first."""
        self._stopping.set()
        self.join()
        self._connection = None  # SQLite's are of one thread
        self._poll()
        for table, known in self._known.items():
            numbers = {number for number, in self._connection.execute(f"SELECT number FROM {table}").fetchall()}
            self._newest[table] = min(numbers - known, default=self._newest[table] + 1) - 1 + LOOK_BACK
        self._poll()

    def run(self):
        while not self._stopping.wait(PAUSE):
            try:
                self._poll()
            except Exception:  # pylint: disable=broad-exception-caught  # of three libraries: the database is away
                self._connection = None

    def _poll(self):
        if self._connection is None:
            self._connection = verdict.open_database(self._database)
        self._follow("chaos_rows", f"op, {_ROW}", self._tell_row)
        self._follow("chaos_shards", f"who, {_SHARD}", self._tell_fence)

    def _follow(self, table, columns, tell):
        rows = self._connection.execute(f"SELECT number, {columns} FROM {table} WHERE number > ? ORDER BY number",
                                        (self._newest[table] - LOOK_BACK,)).fetchall()
        now = time.monotonic()
        for row in rows:
            if row[0] not in self._known[table]:
                tell(row, now)
                self._known[table].add(row[0])
                self._newest[table] = max(self._newest[table], row[0])

    def _tell_row(self, row, now):
        number, op, kind, namespace, name, uid, history, version, seq, digest, body = row
        if verdict.text(namespace) == self._namespace:
            key = (self._resource(kind), self._namespace, verdict.text(name))
            self._ledger.saw(Landed(number, op, key, verdict.text(uid), history, int(version), seq, bytes(digest), self._nonce(body), now))

    def _tell_fence(self, row, _):
        number, who, store, term, last_seq, replica = row
        self._ledger.saw_fence(Fence(number, store, term, last_seq, verdict.text(who), replica is not None))

    def _resource(self, kind):
        if kind not in self._resources:
            found = self._connection.execute("SELECT resource FROM kinds WHERE id = ?", (kind,)).fetchone()
            self._resources[kind] = verdict.text(found[0])
        return self._resources[kind]

    def _nonce(self, body):
        text = self._unpack.decompress(body).decode()
        found = re.search(rf'"{re.escape(NONCE)}": ?"([^"]*)"', text)
        return found.group(1) if found else ""
