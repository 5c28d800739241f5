"""What an account's owner wants to see changes while everything runs: rows that fall out go, what comes in comes, nothing else is
touched and no process restarts."""
import contextlib

import pytest

from e2e.conftest import settled_setup
from e2e.support import verdict
from e2e.support.system import wait_for

PODS = ["pod", "configMap", "secret", "deployment"]
WIDGET = {"kubernetesKind": "Widget.example.com"}


@pytest.fixture(scope="module", name="world")
def world_of_three_namespaces(work, plane, api):
    for name in ("scope-a", "scope-b", "scope-c"):
        api.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        for i in range(20):  # more than protection would let go
            labels = {"app.kubernetes.io/managed-by": "spinnaker"} if i % 4 == 0 else {}
            api.call("POST", f"/api/v1/namespaces/{name}/configmaps", {"metadata": {"name": f"c-{i}", "labels": labels}, "data": {"n": str(i)}})
        api.call("POST", f"/apis/example.com/v1/namespaces/{name}/widgets", {
            "apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}})
    with settled_setup(work, plane, "scope") as made:
        yield made


def rows(world):
    """{(resource, namespace, name): sequence number} of everything."""
    with contextlib.closing(verdict.open_database(world.database)) as connection:
        query = "SELECT resource, namespace, name, seq FROM account_objects WHERE account = 'prod'"
        return {tuple(row[:3]): row[3] for row in connection.execute(query).fetchall()}


def change(world, api, scope, access=None):
    """Puts the scope and waits until the rows are what it asks for; gives the rows before and after."""
    before, agents = rows(world), [agent.process.process.pid for agent in world.agents]
    world.endpoint.put_account("prod", "agent-1", scope, access)
    try:
        wait_for("rows and lists are equal", lambda: not verdict.differences(world.database, "prod", api)[0], 30, pause=0.3)
    except AssertionError as error:
        raise AssertionError(f"{error}: {verdict.differences(world.database, 'prod', api)[0][:5]}") from None
    held = sum(watch["held"] for watch in world.endpoint.get("/v1/accounts/prod/freshness")["watches"])
    assert held == 0, "what the owner does not want is no loss to be protected from"
    assert [agent.process.process.poll() for agent in world.agents] == [None] * len(agents)
    return before, rows(world)


def untouched(before, after):
    """Rows that are there before and after were not written."""
    return {key: (before[key], after[key]) for key in before.keys() & after.keys() if before[key] != after[key]} == {}


def spaces(found, resource="configmaps"):
    return {space for kind, space, _ in found if kind == resource}


def test_a_kind_left_out_goes_and_the_others_are_not_touched(world, api):
    before, after = change(world, api, {"kinds": ["pod", "secret", "deployment"], "customResources": [WIDGET]})
    assert spaces(before) >= {"scope-a", "scope-b", "scope-c"} and not spaces(after)
    assert untouched(before, after)


def test_a_kind_taken_in_comes(world, api):
    _, after = change(world, api, {"kinds": PODS, "customResources": [WIDGET]})
    assert spaces(after) >= {"scope-a", "scope-b", "scope-c"}


def test_an_omitted_kind_and_a_custom_resource_left_out_go(world, api):
    before, after = change(world, api, {"kinds": PODS, "omitKinds": ["secret"]})
    assert "widgets" in {key[0] for key in before} and not {key[0] for key in after} & {"widgets", "secrets"}
    assert untouched(before, after)


def test_an_omitted_namespace_goes(world, api):
    before, after = change(world, api, {"kinds": PODS, "omitNamespaces": ["scope-b"]})
    assert spaces(before) - spaces(after) == {"scope-b"}
    assert untouched(before, after)


def test_namespaces_instead_of_the_cluster_keep_their_rows(world, api):
    before, after = change(world, api, {"kinds": PODS}, {"level": "Namespaces", "namespaces": ["scope-a", "scope-c"]})
    assert spaces(after) == {"scope-a", "scope-c"}
    assert untouched(before, after)


def test_a_namespace_less_goes_alone(world, api):
    before, after = change(world, api, {"kinds": PODS}, {"level": "Namespaces", "namespaces": ["scope-c"]})
    assert spaces(after) == {"scope-c"}
    assert untouched(before, after)


def test_the_cluster_again_keeps_what_is_there(world, api):
    before, after = change(world, api, {"kinds": PODS})
    assert spaces(after) >= {"scope-a", "scope-b", "scope-c"}
    assert untouched(before, after)


def test_only_what_spinnaker_manages_and_everything_again(world, api):
    before, after = change(world, api, {"kinds": PODS, "onlySpinnakerManaged": True})
    assert {key[2] for key in after if key[0] == "configmaps"} == {f"c-{i}" for i in range(0, 20, 4)}
    assert untouched(before, after)
    change(world, api, {"kinds": PODS})


def test_a_change_while_no_agent_is_there_is_followed_by_the_next(world, api):
    world.agents[0].kill()
    world.endpoint.put_account("prod", "agent-1", {"kinds": ["configMap"], "omitNamespaces": ["scope-a"]})
    world.agents[0].start()
    _, after = change(world, api, {"kinds": ["configMap"], "omitNamespaces": ["scope-a"]})
    assert {key[0] for key in after} == {"configmaps"} and "scope-a" not in spaces(after)
