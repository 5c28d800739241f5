"""Kinds and namespaces that are easily taken for one another: irregular plurals, one kind in two groups, two accounts in one
cluster whose namespaces overlap."""
import pytest

from e2e.conftest import Setup
from e2e.support import system, verdict
from e2e.support.api import ApiError
from e2e.support.storm import Storm
from e2e.support.system import wait_for

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
# (group, kind, plural): no rule of grammar makes these plurals, two are of one kind, and two of one plural.
DEFINED = [("one.example.org", "Proxy", "proxies"), ("two.example.org", "Proxy", "proxies"), ("one.example.org", "Ox", "oxen"),
           ("one.example.org", "Sheep", "sheep"), ("two.example.org", "Goat", "sheep"), ("one.example.org", "Endpoints", "endpoints")]


def define(api, group, kind, plural):
    api.call("POST", CRDS, {"metadata": {"name": f"{plural}.{group}"}, "spec": {
        "group": group, "scope": "Namespaced", "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": {
            "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}]}})


def path_of(group, plural, namespace):
    return f"/apis/{group}/v1/namespaces/{namespace}/{plural}"


@pytest.fixture(scope="module", name="zoo")
def setup_with_every_kind(work, plane, api):
    """An account of all but the second Proxy, and one of that alone."""
    made = Setup(work, plane, "zoo")
    try:
        for one in DEFINED:
            define(api, *one)
        names = [{"kubernetesKind": f"{kind}.{group}"} for group, kind, _ in DEFINED]
        made.endpoint.put_account("prod", "agent-1", {"kinds": ["endpoints"], "customResources": names[:1] + names[2:]})
        made.endpoint.put_account("second", "agent-1", {"kinds": ["Proxy.two.example.org"]})
        for number, name in enumerate(("prod", "second")):
            made.agents.append(system.Agent(made.directory / name, made.endpoint, "agent-1", name, plane.agent_kubeconfig, made.port + 2 + number))
        yield made
    finally:
        made.close()
        for group, _, plural in DEFINED:
            api.call("DELETE", f"{CRDS}/{plural}.{group}")


def stored(setup, account):
    connection = verdict.open_database(setup.database)
    rows, twice = verdict.stored_rows(connection, account)
    connection.close()
    assert not twice
    return {(group, resource): set(names) for (group, resource), names in rows.items() if names}


def test_irregular_plurals_and_one_kind_in_two_groups(zoo, api, namespace):
    def make(group, kind, plural):
        try:
            return api.call("POST", path_of(group, plural, namespace), {
                "apiVersion": f"{group}/v1", "kind": kind, "metadata": {"name": "same"}, "spec": {"of": group}})
        except ApiError as error:
            assert error.status == 404
            return None
    for one in DEFINED:
        wait_for(f"{one} is served", lambda one=one: make(*one), 30)
    api.call("POST", f"/api/v1/namespaces/{namespace}/endpoints", {"metadata": {"name": "same"}})
    verdict.wait_until_equal(zoo.database, "prod", api, seconds=60, at_least=6)
    verdict.wait_until_equal(zoo.database, "second", api, seconds=60)
    own = {(group, plural) for group, _, plural in DEFINED if (group, plural) != ("two.example.org", "proxies")} | {("", "endpoints")}
    assert set(stored(zoo, "prod")) == own
    assert set(stored(zoo, "second")) == {("two.example.org", "proxies")}
    api.call("DELETE", path_of("two.example.org", "proxies", namespace) + "/same")
    api.call("DELETE", path_of("two.example.org", "sheep", namespace) + "/same")
    wait_for("its row is gone", lambda: not stored(zoo, "second"))
    verdict.wait_until_equal(zoo.database, "prod", api, at_least=5)
    assert (namespace, "same") in stored(zoo, "prod")["one.example.org", "proxies"]
    assert (namespace, "same") in stored(zoo, "prod")["one.example.org", "sheep"]


def test_two_accounts_of_one_cluster_whose_namespaces_overlap(work, plane, api):
    made = Setup(work, plane, "overlap")
    spaces = [f"overlap-{name}" for name in "xyz"]
    try:
        for name in spaces:
            api.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        for number, (name, own) in enumerate({"left": spaces[:2], "right": spaces[1:]}.items()):
            made.endpoint.put_account(name, "agent-1", {"kinds": ["configMap", "pod"], "namespaces": own})
            made.agents.append(system.Agent(made.directory / name, made.endpoint, "agent-1", name, plane.agent_kubeconfig, made.port + 2 + number))
        storms = [Storm(api, name, writes=300, rate=150, threads=2, seed=90 + number, kinds=("ConfigMap", "Pod")).start()
                  for number, name in enumerate(spaces)]
        # One that dies between the spending of its token and its certificate can never enrol again.
        wait_for("the first agent has enrolled", lambda: made.endpoint.account("left")["status"]["connected"])
        made.agents[0].kill()
        made.agents[0].start()
        for storm in storms:
            assert storm.join().failed == 0
        for name in ("left", "right"):
            verdict.wait_until_equal(made.database, name, api, seconds=40, at_least=50)
        shared = {key for keys in stored(made, "left").values() for key in keys if key[0] == spaces[1]}
        assert shared and shared == {key for keys in stored(made, "right").values() for key in keys if key[0] == spaces[1]}
        # One goes, and with it nothing of the other.
        uid = made.endpoint.account("left")["uid"]
        assert made.endpoint.call("DELETE", f"/v1/accounts/left?uid={uid}")[0] == 200
        wait_for("it is gone", lambda: made.endpoint.call("GET", "/v1/accounts/left")[0] == 404)
        Storm(api, spaces[1], writes=50, seed=95, kinds=("ConfigMap",)).start().join()
        verdict.wait_until_equal(made.database, "right", api, at_least=50)
    finally:
        made.close()
