"""An agent with a certificate of its own, and no good intentions: what it says of other accounts lands nowhere, and not
reading costs only itself."""
import contextlib
import json
import queue
import time

import pytest

from e2e.conftest import Setup
from e2e.support import verdict
from e2e.support.probe import Probe
from e2e.support.scripted import ScriptedAgent
from e2e.support.system import peak_memory, wait_for
from e2e.test_cache import version_of

ITS_OWN = "hostile"


@pytest.fixture(scope="module", name="attacked")
def setup_with_another_account(work, plane):
    made = Setup(work, plane, "attacked", plaintext=True)
    try:
        made.add_agent()
        made.wait_settled()
        made.endpoint.put_account(ITS_OWN, ITS_OWN, {"kinds": ["configMap"]})
        yield made
    finally:
        made.close()


@pytest.fixture(name="hostile")
def hostile_agent(attacked):
    made = ScriptedAgent(attacked.directory / "hostile", attacked.endpoint, ITS_OWN, f"hostile-{time.monotonic_ns()}")
    try:
        yield made
    finally:
        made.close()


def shard_of(setup, account):
    """(account uid, shard, store epoch, term, last seq)"""
    with contextlib.closing(verdict.open_database(setup.database)) as connection:
        return connection.execute("SELECT a.uid, s.shard, s.store, s.term, s.last_seq FROM shards s JOIN accounts a ON a.uid = s.account "
                                  "WHERE a.name = ?", (account,)).fetchone()


def rows_of(setup, account):
    with contextlib.closing(verdict.open_database(setup.database)) as connection:
        return {(kind, name): row for kind, rows in verdict.stored_rows(connection, account)[0].items() for name, row in rows.items()}


def test_batches_for_another_account_land_nowhere(attacked, hostile, api, namespace):
    """An insert, an update and a delete, with everything that the other account's own agent would say right."""
    api.call("POST", f"/api/v1/namespaces/{namespace}/configmaps", {"metadata": {"name": "theirs"}, "data": {"a": "1"}})
    compared = verdict.wait_until_equal(attacked.database, "prod", api)
    own = hostile.claim(ITS_OWN)
    before = rows_of(attacked, "prod")
    uid, number, store, term, last = shard_of(attacked, "prod")
    for attempt, more in enumerate([{"name": "planted"}, {"name": "theirs", "version": "999999999"},
                                    {"name": "theirs", "version": "999999999", "delete": True}]):
        aimed = type(own)(account_uid=uid, shard=number, store_epoch=store, term=term)
        hostile.change(aimed, last + 1 + attempt, namespace=namespace, **more)
    # Behind them on the same stream: what it may write is written, so the others were read.
    hostile.change(own, own.last_seq + 1, "mine", b'{"metadata":{"name":"mine"}}')
    wait_for("its own batch is acknowledged or it is put out", lambda: hostile.ended("Changes") or any(
        ack.account_uid == own.account_uid and ack.seq > own.last_seq for ack in hostile.told("Changes", "ack")))
    assert not [ack for ack in hostile.told("Changes", "ack") if ack.account_uid == uid]
    assert rows_of(attacked, "prod") == before
    Probe(api, namespace, version_of(attacked)).write_to_row()
    assert verdict.wait_until_equal(attacked.database, "prod", api) >= compared
    assert shard_of(attacked, "prod")[3] == term, "the other account's agent goes on under its term"


def test_an_objects_uid_or_name_of_another_account_stays_in_its_own(attacked, hostile, api, namespace):
    """The same name and uid as a row of the other account: a row beside it, and its delete takes that one only."""
    made = api.call("POST", f"/api/v1/namespaces/{namespace}/configmaps", {"metadata": {"name": "same"}, "data": {"a": "1"}})
    verdict.wait_until_equal(attacked.database, "prod", api)
    grant = hostile.claim(ITS_OWN)
    body = json.dumps({"metadata": {"name": "same", "namespace": namespace}}).encode()
    the_same = {"uid": made["metadata"]["uid"], "namespace": namespace}
    hostile.change(grant, grant.last_seq + 1, "same", body, version="999999999", **the_same)
    wait_for("a row of its own", lambda: ("", "configmaps") in {kind for kind, _ in rows_of(attacked, ITS_OWN)} and
             (("", "configmaps"), (namespace, "same")) in rows_of(attacked, ITS_OWN))
    verdict.wait_until_equal(attacked.database, "prod", api)
    hostile.change(grant, grant.last_seq + 2, "same", delete=True, version="9999999999", **the_same)
    wait_for("which it deletes", lambda: (("", "configmaps"), (namespace, "same")) not in rows_of(attacked, ITS_OWN))
    assert (("", "configmaps"), (namespace, "same")) in rows_of(attacked, "prod")
    verdict.wait_until_equal(attacked.database, "prod", api)


def test_an_agent_that_never_reads_costs_only_itself(attacked, api, namespace):
    """It beats and claims for as long as it is let, and takes no answer off the wire."""
    probe = Probe(api, namespace, version_of(attacked))
    probe.write_to_row()
    before = peak_memory(attacked.endpoint)
    deaf = ScriptedAgent(attacked.directory / "deaf", attacked.endpoint, ITS_OWN, "deaf", reads=False)
    sent, worst = 0, 0.0
    try:
        until = time.monotonic() + 12
        while time.monotonic() < until:
            try:
                for _ in range(2000):
                    deaf.send("Control", seconds=0.5, beat=deaf.wire.Beat(number=sent))
                    sent += 1
            except queue.Full:
                pass  # it is not read from any more: then nothing can pile up
            if deaf.ended("Control"):
                break
            worst = max(worst, probe.write_to_row())
        grown = peak_memory(attacked.endpoint) - before
    finally:
        deaf.close()
    print(f"{sent} beats, the endpoint grew by {grown >> 10} KiB, a write of another account was readable after {worst * 1000:.0f} ms at most")
    # A message of its own for each beat would be 400 bytes and more.
    assert sent > 5000
    assert grown < (8 << 20)
    assert worst < 2
    verdict.wait_until_equal(attacked.database, "prod", api)
