"""What is repaired without anybody's help: an API server that was restored from an old snapshot of its etcd, lists that
outlast a compaction over a slow link, changes that no watch can tell any more."""
import contextlib

import pytest

from e2e.conftest import settled_setup
from e2e.support import system, verdict
from e2e.support.api import Api
from e2e.support.plane import prepare
from e2e.support.storm import noise
from e2e.support.system import wait_for
from e2e.test_cache import serves

NAMESPACE = "repair"
PATHS = {"configmaps": "/api/v1/namespaces/repair/configmaps", "secrets": "/api/v1/namespaces/repair/secrets",
         "widgets": "/apis/example.com/v1/namespaces/repair/widgets"}
MERGE = "application/merge-patch+json"


@pytest.fixture(scope="module")
def plane(work):
    """An API server of its own: nobody else wants its versions to go back."""
    made = system.ControlPlane(work / "repaired", 21100)
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
    assert verdict.differences(restorable.database, "prod", api)[0] or agent == "running"
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
