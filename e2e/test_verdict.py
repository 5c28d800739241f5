"""The verdict itself: over a small database and a scripted API, each kind of difference is named."""
import copy
import hashlib
import json
import sqlite3

import pytest
import zstandard

from e2e.support import verdict
from e2e.support.scope import Scope, Served, served_kinds

SCHEMA = """
CREATE TABLE accounts (uid, name, spec);
CREATE TABLE shards (id, account);
CREATE TABLE kinds (id, shard, api_group, resource);
CREATE TABLE objects (kind, namespace, name, uid, held, content_hash, body);
INSERT INTO shards VALUES (1, 'a');
"""
CORE = [("pods", "Pod", True), ("nodes", "Node", False), ("namespaces", "Namespace", False), ("secrets", "Secret", True),
        ("events", "Event", True)]


class FakeApi:
    """Core kinds, deployments in two versions and groups, events a second time; objects by collection path."""

    def __init__(self):
        self.objects = {}

    def add(self, path, name, namespace="", uid="u", **more):
        item = {"apiVersion": "v1", "kind": "X", "metadata": {"name": name, "uid": uid, "resourceVersion": "7", "managedFields": []}, **more}
        if namespace:
            item["metadata"]["namespace"] = namespace
        self.objects.setdefault(path, []).append(item)
        return item

    @staticmethod
    def _resources(*resources):
        every = [{"name": name, "kind": kind, "namespaced": namespaced, "verbs": ["get", "list", "watch"]}
                 for name, kind, namespaced in resources]
        return {"resources": every + [{"name": "bindings", "kind": "Binding", "namespaced": True, "verbs": ["create"]},
                                      {"name": "pods/log", "kind": "Pod", "namespaced": True, "verbs": ["list", "watch"]}]}

    def call(self, _, path):
        def group(name, *versions, preferred):
            return {"name": name, "versions": [{"version": one} for one in versions], "preferredVersion": {"version": preferred}}
        deployments = ("deployments", "Deployment", True)
        return {
            "/api": {"versions": ["v1"]},
            "/api/v1": self._resources(*CORE),
            "/apis": {"groups": [group("apps", "v1beta1", "v1", preferred="v1"), group("example.com", "v1", preferred="v1"),
                                 group("events.k8s.io", "v1", preferred="v1")]},
            "/apis/apps/v1": self._resources(deployments),
            "/apis/apps/v1beta1": self._resources(deployments, ("olds", "Old", True)),
            "/apis/example.com/v1": self._resources(deployments, ("widgets", "Widget", True)),
            "/apis/events.k8s.io/v1": self._resources(("events", "Event", True)),
        }[path]

    def list_all(self, path):
        return copy.deepcopy(self.objects.get(path, []))


class Store:
    def __init__(self, path, spec):
        self.path = path
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.executescript(SCHEMA)
        self.connection.execute("INSERT INTO accounts VALUES ('a', 'prod', ?)", (json.dumps(spec),))
        self.kinds = 0

    def kind(self, group, resource):
        self.kinds += 1
        self.connection.execute("INSERT INTO kinds VALUES (?, 1, ?, ?)", (self.kinds, group, resource))
        return self.kinds

    def row(self, kind, item, **other):
        raw = json.dumps(other.get("body") or verdict.cut(item, other.get("secret", False))).encode()
        metadata = item["metadata"]
        content_hash = other.get("content_hash") or hashlib.sha256(raw).digest()[:16]
        self.connection.execute("INSERT INTO objects VALUES (?, ?, ?, ?, ?, ?, ?)", (
            kind, metadata.get("namespace", ""), metadata["name"], other.get("uid") or metadata["uid"], other.get("held", 0), content_hash,
            zstandard.ZstdCompressor().compress(raw)))


def spec(level="Cluster", allowed=(), **scope):
    return {"access": {"level": level, "namespaces": list(allowed)}, "scope": scope}


class World:
    """Three pods of two namespaces, and rows that agree with them."""

    def __init__(self, path):
        self.api = FakeApi()
        self.store = Store(path, spec(kinds=["pod", "secret"]))
        self.pods = self.store.kind("", "pods")
        self.items = [self.api.add("/api/v1/pods", name, namespace, spec={"n": i})
                      for i, (name, namespace) in enumerate([("a", "x"), ("b", "x"), ("a", "y")])]
        for item in self.items[1:]:
            self.store.row(self.pods, item)

    def judge(self):
        return verdict.differences(self.store.path, "prod", self.api)


@pytest.fixture(name="world")
def made_world(tmp_path):
    return World(tmp_path / "fairlead.db")


def test_equal_rows_are_equal_and_counted(world):
    world.store.row(world.pods, world.items[0])
    assert world.judge() == ([], 3)


def test_a_missing_row_is_a_difference(world):
    assert world.judge() == (["pods ('x', 'a'): an object without a row"], 2)


@pytest.mark.parametrize("wrong, said", [
    ({"uid": "other"}, "pods ('x', 'a'): uid other, should be u"),
    ({"body": {"metadata": {"name": "a", "namespace": "x", "uid": "u"}, "spec": {"n": 5}}}, "pods ('x', 'a'): content differs"),
    ({"held": 1}, "pods ('x', 'a'): held for deletion, and the object is there"),
    ({"content_hash": b"0" * 16}, "pods ('x', 'a'): the content hash is not that of the body"),
])
def test_a_wrong_row_is_a_difference(world, wrong, said):
    world.store.row(world.pods, world.items[0], **wrong)
    assert world.judge() == ([said], 3)


def test_an_extra_row_is_a_difference(world):
    world.store.row(world.pods, world.items[0])
    world.store.row(world.pods, {"metadata": {"name": "gone", "namespace": "x", "uid": "g"}})
    assert world.judge() == (["pods ('x', 'gone'): a row without an object"], 3)


def test_two_rows_of_one_object_are_a_difference(world):
    for kind in (world.pods, world.store.kind("", "pods")):
        world.store.row(kind, world.items[0])
    assert world.judge() == (["pods ('x', 'a'): two rows"], 3)


def test_a_served_kind_in_scope_that_the_store_does_not_know_is_a_difference(world):
    world.store.row(world.pods, world.items[0])
    world.api.add("/api/v1/secrets", "s", "x")
    assert world.judge() == (["secrets.: served, in scope, 1 objects, and the store does not know the kind"], 3)


def test_rows_of_a_kind_outside_of_the_scope_are_a_difference(world):
    world.store.row(world.pods, world.items[0])
    world.store.row(world.store.kind("", "nodes"), world.api.add("/api/v1/nodes", "n"))
    assert world.judge() == (["nodes.: 1 rows of a kind that is not served or not in scope"], 3)


def test_a_stored_secret_value_is_a_difference(world):
    world.store.row(world.pods, world.items[0])
    secret = world.api.add("/api/v1/secrets", "s", "x", data={"p": "dg=="})
    kind = world.store.kind("", "secrets")
    world.store.row(kind, secret, secret=False)
    assert world.judge() == (["secrets ('x', 's'): content differs"], 4)
    world.store.connection.execute("DELETE FROM objects WHERE kind = ?", (kind,))
    world.store.row(kind, secret, secret=True)
    assert world.judge() == ([], 4)


def test_another_accounts_rows_are_not_looked_at(world):
    world.store.row(world.pods, world.items[0])
    world.store.connection.execute("INSERT INTO shards VALUES (2, 'other')")
    world.store.connection.execute("INSERT INTO kinds VALUES (99, 2, '', 'nodes')")
    world.store.row(99, {"metadata": {"name": "n", "uid": "n"}})
    assert world.judge() == ([], 3)


def test_waiting_ends_with_the_differences(world):
    with pytest.raises(AssertionError, match="an object without a row"):
        verdict.wait_until_equal(world.store.path, "prod", world.api, seconds=0)
    world.store.row(world.pods, world.items[0])
    assert verdict.wait_until_equal(world.store.path, "prod", world.api, seconds=0) == 3
    with pytest.raises(AssertionError, match="0 differences, 3 objects"):
        verdict.wait_until_equal(world.store.path, "prod", world.api, seconds=0, at_least=4)


def kinds_of(wanted):
    return {one.path for one in served_kinds(FakeApi()) if Scope(wanted).has_kind(one)}


def test_discovery_takes_each_resource_once_from_its_preferred_version():
    served = served_kinds(FakeApi())
    assert Served("apps", "v1", "deployments", "Deployment", True) in served
    assert Served("apps", "v1beta1", "olds", "Old", True) in served
    assert len(served) == len(CORE) + 2 + 2 + 1


@pytest.mark.parametrize("wanted, paths", [
    (spec(), {"/api/v1/pods", "/api/v1/namespaces", "/apis/apps/v1/deployments"}),
    (spec(kinds=["POD", "node"]), {"/api/v1/pods", "/api/v1/nodes"}),
    (spec(kinds=["node"], clusterScoped="Ignore"), set()),
    (spec("Namespaces", ["x"], kinds=["node", "pod"]), {"/api/v1/pods"}),
    (spec(kinds=["deployment"]), {"/apis/apps/v1/deployments"}),
    (spec(kinds=["Deployment.example.com"]), {"/apis/example.com/v1/deployments"}),
    (spec(kinds=["pod"], customResources=[{"kubernetesKind": "Widget.example.com"}]), {"/api/v1/pods", "/apis/example.com/v1/widgets"}),
    (spec(omitKinds=["namespace", "deployment"]), {"/api/v1/pods"}),
    (spec(kinds=["event"]), {"/api/v1/events"}),
])
def test_kinds_in_scope(wanted, paths):
    assert kinds_of(wanted) == paths


@pytest.mark.parametrize("wanted, namespaces", [
    (spec(), {"x", "y", "z", ""}),
    (spec(namespaces=["x", "y"]), {"x", "y", ""}),
    (spec(omitNamespaces=["x"]), {"y", "z", ""}),
    (spec(clusterScoped="Ignore"), {"x", "y", "z"}),
    (spec("Namespaces", ["x", "y"]), {"x", "y"}),
    (spec("Namespaces", ["x", "y"], namespaces=["y", "z"]), {"y"}),
    (spec("Namespaces", ["x", "y"], omitNamespaces=["y"]), {"x"}),
])
def test_namespaces_in_scope(wanted, namespaces):
    assert {one for one in ("x", "y", "z", "") if Scope(wanted).has_object({"metadata": {"namespace": one}})} == namespaces


def test_only_what_spinnaker_manages():
    scope = Scope(spec(onlySpinnakerManaged=True))
    assert scope.has_object({"metadata": {"namespace": "x", "labels": {"app.kubernetes.io/managed-by": "spinnaker"}}})
    assert not scope.has_object({"metadata": {"namespace": "x", "labels": {"app.kubernetes.io/managed-by": "helm"}}})
    assert not scope.has_object({"metadata": {"namespace": "x"}})
