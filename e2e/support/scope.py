"""What of a cluster an account's spec asks for, said a second time: nothing here comes from the product.

The served kinds are read from the classic discovery documents, where the product reads the aggregated ones.
"""
from typing import NamedTuple

# Spinnaker's own list (Clouddriver's KubernetesKind with a controller, as Armory's agent fixes it).
DEFAULT_KINDS = ["replicaSet", "service", "ingress", "daemonSet", "deployment", "pod", "statefulSet", "job", "cronJob",
                 "networkPolicy", "namespace", "customResourceDefinition"]


class Served(NamedTuple):
    group: str
    version: str
    resource: str
    kind: str
    namespaced: bool

    @property
    def path(self):
        return f"/apis/{self.group}/{self.version}/{self.resource}" if self.group else f"/api/{self.version}/{self.resource}"


def served_kinds(api):
    """Everything that can be listed and watched, each resource once, in its group's preferred version that has it."""
    versions = [("", version, f"/api/{version}") for version in api.call("GET", "/api")["versions"]]
    for group in api.call("GET", "/apis")["groups"]:
        names = [one["version"] for one in group["versions"]]
        names.sort(key=lambda name, best=group["preferredVersion"]["version"]: name != best)
        versions += [(group["name"], name, f"/apis/{group['name']}/{name}") for name in names]
    found = {}
    for group, version, path in versions:
        for one in api.call("GET", path)["resources"]:
            if "/" not in one["name"] and {"list", "watch"} <= set(one["verbs"]):
                found.setdefault((group, one["name"]), Served(group, version, one["name"], one["kind"], one["namespaced"]))
    return list(found.values())


def _names(name, kind):
    """Whether `name` ("kind" of a native group, or "Kind.group") is this served kind."""
    plain, _, group = name.lower().partition(".")
    if plain != kind.kind.lower():
        return False
    return kind.group == group if group else "." not in kind.group or kind.group.endswith(".k8s.io")


class Scope:
    """The scope part of an account's spec, in the JSON of PUT /v1/accounts/{name}."""

    def __init__(self, spec):
        scope, access = spec.get("scope", {}), spec["access"]
        self._kinds = (scope.get("kinds") or DEFAULT_KINDS) + [one["kubernetesKind"] for one in scope.get("customResources", [])]
        self._omit_kinds = scope.get("omitKinds", [])
        self._whole_cluster = access["level"] == "Cluster"
        self._namespaces = set(scope.get("namespaces", []))
        if not self._whole_cluster:
            allowed = set(access["namespaces"])
            self._namespaces = self._namespaces & allowed if self._namespaces else allowed
        self._all_namespaces = self._whole_cluster and not self._namespaces
        self._omit_namespaces = set(scope.get("omitNamespaces", []))
        self._cluster_scoped = self._whole_cluster and scope.get("clusterScoped", "Watch") == "Watch"
        self._managed_only = scope.get("onlySpinnakerManaged", False)
        self.keeps_secret_data = scope.get("secretData", "Drop") == "Keep"

    def has_kind(self, kind):
        if kind.group == "events.k8s.io" or not (kind.namespaced or self._cluster_scoped):  # the former: core Event once more
            return False
        return any(_names(one, kind) for one in self._kinds) and not any(_names(one, kind) for one in self._omit_kinds)

    def has_object(self, item):
        metadata = item["metadata"]
        if self._managed_only and metadata.get("labels", {}).get("app.kubernetes.io/managed-by") != "spinnaker":
            return False
        namespace = metadata.get("namespace", "")
        if not namespace:
            return self._cluster_scoped
        return namespace not in self._omit_namespaces and (self._all_namespaces or namespace in self._namespaces)
