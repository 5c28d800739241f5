"""What is repaired without anybody's help: an API server that was restored from an old snapshot of its etcd, lists that
outlast a compaction over a slow link, changes that no watch can tell any more."""
import contextlib
import multiprocessing.pool
import os
import time

import pytest

from e2e.chaos.relay import Loop, Relay
from e2e.conftest import Setup, settled_setup
from e2e.support import system, verdict
from e2e.support.api import Api, ApiError
from e2e.support.plane import prepare
from e2e.support.storm import noise
from e2e.support.system import peak_memory, wait_for
from e2e.support.tap import Tap
from e2e.test_cache import serves
from e2e.test_freshness import by_hand

NAMESPACE = "repair"
PATHS = {"configmaps": "/api/v1/namespaces/repair/configmaps", "secrets": "/api/v1/namespaces/repair/secrets",
         "widgets": "/apis/example.com/v1/namespaces/repair/widgets"}
MERGE = "application/merge-patch+json"


@pytest.fixture(scope="module")
def plane(work):
    """An API server of its own: nobody else wants its versions to go back."""
    # Pages come from etcd then, as before Kubernetes 1.34: what is compacted is gone.
    made = system.ControlPlane(work / "repaired", 21100, flags="--feature-gates=ListFromCacheSnapshot=false")
    try:
        own = Api(made.kubeconfig)
        prepare(own)
        own.call("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        yield made
    finally:
        made.down()


@pytest.fixture(scope="module")
def api(plane):
    return Api(plane.kubeconfig)


def create(api, resource, name, value=""):
    kind = {"apiVersion": "example.com/v1", "kind": "Widget"} if resource == "widgets" else {}
    field = {"spec": {"v": value}} if resource == "widgets" else {"data": {"v": noise(30)}}
    return api.call("POST", PATHS[resource], {**kind, "metadata": {"name": name, "labels": {"value": value}}, **field})


def change(api, resource, name, value):
    api.call("PATCH", f"{PATHS[resource]}/{name}", {"metadata": {"labels": {"value": value}}}, MERGE)


def delete(api, resource, name):
    api.call("DELETE", f"{PATHS[resource]}/{name}")


def in_threads(call, arguments, threads=4):
    with multiprocessing.pool.ThreadPool(threads) as pool:
        pool.map(call, arguments)


def newest_version(api):
    return int(api.call("GET", f"{PATHS['configmaps']}?limit=1")["metadata"]["resourceVersion"])


def histories(database):
    with contextlib.closing(verdict.open_database(database)) as connection:
        return dict(connection.execute("SELECT k.resource, p.history FROM positions p JOIN kinds k ON k.id = p.kind").fetchall())


# ------------------------------------------------------------- an API server restored from a snapshot of its etcd

@pytest.fixture(scope="module", name="restorable")
def setup_with_a_snapshot(work, plane, api):
    """The snapshot has kept-*, changed-*, deleted-* and again-* of three kinds."""
    with settled_setup(work, plane, "restored") as made:
        for resource in PATHS:
            for name in ("kept", "changed", "deleted", "again"):
                for number in range(3):
                    create(api, resource, f"{name}-{number}", "before")
        plane.back_up()
        wait_for("every kind is watched", lambda: serves(made.agents[0]), 90)
        verdict.wait_until_equal(made.database, "prod", api, seconds=60, at_least=36)
        yield made


def live_on(api):
    """What happens after the snapshot: changes, deletes, new objects, and the same name with another uid."""
    for resource in PATHS:
        for number in range(3):
            change(api, resource, f"changed-{number}", "after")
            delete(api, resource, f"deleted-{number}")
            delete(api, resource, f"again-{number}")
            create(api, resource, f"again-{number}", "after")
            create(api, resource, f"new-{number}", "after")


def overtake(api, version):
    """The restored server writes other things than before, until its versions are past those that it lost."""
    count = 0
    while newest_version(api) <= version:
        count += 1
        change(api, "widgets", "kept-0", f"overtaking-{count}")


@pytest.mark.parametrize("agent, overtaken", [("running", False), ("restarted", False), ("away", True)])
def test_api_server_restored_from_an_old_snapshot(restorable, plane, api, agent, overtaken):
    """Versions go back, and with `overtaken` come a second time for other changes."""
    before = histories(restorable.database)
    live_on(api)
    verdict.wait_until_equal(restorable.database, "prod", api)
    version = newest_version(api)
    if agent == "away":
        restorable.agents[0].kill()
    plane.restore()
    assert newest_version(api) < version
    assert agent != "away" or verdict.differences(restorable.database, "prod", api)[0]
    if overtaken:
        overtake(api, version)
    if agent == "restarted":
        restorable.agents[0].kill()
    if agent != "running":
        restorable.agents[0].start()
    verdict.wait_until_equal(restorable.database, "prod", api, seconds=90, at_least=36)
    wait_for("every kind is watched", lambda: serves(restorable.agents[0]), 90)
    create(api, "configmaps", "afterwards", "restored")
    verdict.wait_until_equal(restorable.database, "prod", api)
    after = histories(restorable.database)
    for resource in PATHS:
        assert after[resource] > before[resource], "versions of two histories are never compared"


# --------------------------------------------------------------- a list that takes longer than its version is kept

OBJECTS, BYTES = 1200, 2000  # of configmaps: a page is more than may wait in the agent; 25 s at a megabit a second
MEGABIT = 125_000


@contextlib.contextmanager
def behind_a_relay(work, plane, where):
    """A Setup in sync, and the flow from the API server to its agent, or from the agent to the endpoint. What may wait between
    the two is the least that can be configured, so that a slow link is felt by the list."""
    made = Setup(work, plane, f"slow-{where}", more="limits: {shardCreditBytes: 65536}\n")
    try:
        relay = Relay(Loop(), made.port + 9, plane.port if where == "cluster" else made.endpoint.agents)
        kubeconfig = made.directory / "kubeconfig"
        text = plane.agent_kubeconfig.read_text()
        kubeconfig.write_text(text.replace(f":{plane.port}", f":{relay.port}") if where == "cluster" else text)
        made.add_agent(kubeconfig, None if where == "cluster" else f"127.0.0.1:{relay.port}", "limits: {pendingBytes: 1048576}\n")
        made.wait_settled()
        yield made, relay.down if where == "cluster" else relay.up
    finally:
        made.close()


def lists_of(plane, since):
    return [one for one in plane.audit(since) if one.full_list and one.resource == "configmaps"]


@pytest.fixture(scope="module", name="bulk")
def many_configmaps(api):
    names = [f"bulk-{number:04}" for number in range(OBJECTS)]
    in_threads(lambda name: api.call("POST", PATHS["configmaps"], {"metadata": {"name": name}, "data": {"v": noise(BYTES * 3 // 4)}}), names)
    return names


def meddle(api, names, mark):
    """Objects of every page change, go and come back."""
    for number, name in enumerate(names[::37]):
        if number % 3 == 0:
            change(api, "configmaps", name, f"{mark}-{number}")
        else:
            delete(api, "configmaps", name)
            if number % 3 == 1:
                create(api, "configmaps", name, mark)
            else:
                names.remove(name)
    create(api, "configmaps", f"bulk-{mark}", mark)
    create(api, "configmaps", f"aaa-{mark}", mark)


# By key and hash where there are rows, with bodies where there are none.
LOSS = {"cluster": ["DELETE FROM objects WHERE rowid % 2 = 0"],
        "endpoint": ["DELETE FROM positions", "DELETE FROM objects"]}


def forget(plane, api):
    """No version before now can be watched from: neither etcd has it nor the API server's cache."""
    plane.compact()
    plane.restart()
    newest_version(api)  # which makes the connection anew; a write would not
    watcher = Api(plane.agent_kubeconfig)

    def knows_its_roles():
        try:
            return [watcher.call("GET", f"{path}?limit=1") for path in PATHS.values()]
        except ApiError:
            return None
    wait_for("the agent may read", knows_its_roles)


@pytest.mark.parametrize("where", LOSS)
def test_a_list_over_a_megabit_outlasts_a_compaction(work, plane, api, bulk, where):
    with behind_a_relay(work, plane, where) as (setup, flow):
        verdict.wait_until_equal(setup.database, "prod", api, seconds=30, at_least=len(bulk))
        setup.agents[0].kill()
        meddle(api, bulk, f"{where}-away")
        if where == "cluster":
            forget(plane, api)
        mark = plane.audit_size()
        by_hand(setup, *LOSS[where])
        flow.rate = MEGABIT
        begun = time.monotonic()
        setup.agents[0].start()
        wait_for("the first page was read", lambda: any(one.code == 200 for one in lists_of(plane, mark)), 60)
        meddle(api, bulk, f"{where}-listed")
        plane.compact()
        wait_for("a continue token has expired", lambda: any(one.code == 410 for one in lists_of(plane, mark)), 60)
        meddle(api, bulk, f"{where}-expired")
        verdict.wait_until_equal(setup.database, "prod", api, seconds=60, at_least=len(bulk))
        lists = lists_of(plane, mark)
        after = next(number for number, one in enumerate(lists) if one.code == 410) + 1
        assert "continue=" in lists[after].uri, "it goes on with the token that the server gave instead"
        print(f"equal after {time.monotonic() - begun:.0f} s, answers to lists {[one.code for one in lists_of(plane, mark)]}")


# ----------------------------------------------------------------------- much is there, and little of it changed

# `REPAIR_OBJECTS=100000` is what the issue says; the creation takes most of the time.
MANY = int(os.environ.get("REPAIR_OBJECTS", "4000"))


def rows_since(database, seq):
    with contextlib.closing(verdict.open_database(database)) as connection:
        return {name for name, in connection.execute("SELECT name FROM objects WHERE seq > ?", (seq,))}


def last_seq(database):
    with contextlib.closing(verdict.open_database(database)) as connection:
        return connection.execute("SELECT max(last_seq) FROM shards").fetchone()[0]


def create_many(plane, count):
    """In processes, as a thread's worth of Python cannot keep an API server busy."""
    with multiprocessing.get_context("spawn").Pool(4, initializer=_connect, initargs=(plane.kubeconfig,)) as pool:
        pool.map(_create_one, range(count), chunksize=100)


def _connect(kubeconfig):
    _create_one.api = Api(kubeconfig)


def _create_one(number):
    _create_one.api.call("POST", PATHS["configmaps"], {"metadata": {"name": f"many-{number:06}"}, "data": {"v": noise(90)}})


def test_of_many_objects_only_the_changed_ones_travel_and_are_written(work, plane, api):
    made = Setup(work, plane, "many", plaintext=True)
    tap = Tap(made.port + 9, f"127.0.0.1:{made.endpoint.agents}", made.directory)
    try:
        create_many(plane, MANY)
        begun = time.monotonic()
        made.add_agent(address=f"127.0.0.1:{made.port + 9}")
        verdict.wait_until_equal(made.database, "prod", api, seconds=60 + MANY / 500, at_least=MANY)
        first, whole = time.monotonic() - begun, sum(len(body) for *_, body in tap.upserts())
        assert whole > MANY * 100
        made.agents[0].kill()
        before = last_seq(made.database)
        for number in range(4):
            change(api, "configmaps", f"many-{number * MANY // 4:06}", "changed")
            create(api, "configmaps", f"late-{number}")
        for number in range(2):
            delete(api, "configmaps", f"many-{number * MANY // 2 + 1:06}")
        forget(plane, api)
        mark = plane.audit_size()
        tap.clear()
        written = made.endpoint.metric("fairlead_store_rows_written_total")
        begun = time.monotonic()
        made.agents[0].start()
        verdict.wait_until_equal(made.database, "prod", api, seconds=60 + MANY / 500, at_least=MANY)
        again, bodies = time.monotonic() - begun, sum(len(body) for *_, body in tap.upserts())
        wait_for("the end is committed", lambda: serves(made.agents[0]), 60)
        assert lists_of(plane, mark), "the watch could not go on"
        expected = {f"many-{number * MANY // 4:06}" for number in range(4)} | {f"late-{number}" for number in range(4)}
        assert rows_since(made.database, before) == expected
        assert made.endpoint.metric("fairlead_store_rows_written_total") - written == len(expected)
        assert made.endpoint.metric("fairlead_store_rows_deleted_total") == 2
        assert bodies < whole / 100
        print(f"{MANY} objects: {whole} bytes of bodies in {first:.1f} s; with 10 changed {bodies} bytes in {again:.1f} s, "
              f"{tap.bytes_up} bytes as sent; agent's most memory {peak_memory(made.agents[0]) >> 20} MiB")
    finally:
        made.close()
        tap.stop()
