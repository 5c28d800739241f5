"""What in a cluster is the demo's: it carries a label, so that nothing else is installed over or taken away.

The decisions are functions of what was found and make no request; `Ours` finds and acts. A namespace gets the label with its
creation and a helm release with its first record: a demo that is killed leaves nothing that the next one could not take away.
Tests: e2e/test_demo.py.
"""
import shlex
from typing import NamedTuple

OURS = "fairlead.dev/demo"
LABEL = f"{OURS}=true"
SYSTEM, AGENTS = "fairlead", "fairlead-agent"  # as the charts and the operator call them
SPACE, STORM = "fairlead-demo", "fairlead-demo-storm"  # what the demo changes is in these
SPACES = (SYSTEM, AGENTS, SPACE, STORM)
RELEASES = (("fairlead", SYSTEM), ("fairlead-crds", "default"))  # in the order in which they go
MADE_BY_OPERATOR = "app.kubernetes.io/managed-by=fairlead-operator"


class Found(NamedTuple):
    """Of one cluster."""
    spaces: dict = {}  # labels by name, of namespaces
    crds: tuple = ()  # names, of Fairlead's
    releases: frozenset = frozenset()  # (name, namespace) of the helm releases that carry the label
    roles: dict = {}  # labels by name, of the ClusterRoles that an operator made


def labelled(labels):
    return labels.get(OURS) == "true"


def refusals(where, kubeconfig, found):
    """Why the demo may not run in this cluster: what is there, and what to do about it. Empty: it may."""
    out = [f"{where} has the namespace {name}, which no demo made (it has no label {LABEL}): what is in it would be taken away at "
           "the end. Use another cluster, or, if a demo of yours did make it: "
           f"kubectl --kubeconfig {shlex.quote(str(kubeconfig))} label namespace {name} {LABEL}"
           for name in SPACES if name in found.spaces and not labelled(found.spaces[name])]
    if found.crds and RELEASES[1] not in found.releases:
        out.append(f"{where} has the CustomResourceDefinitions {', '.join(found.crds)}, which no demo made (no helm release fairlead-crds "
                   f"in namespace default has the label {LABEL}): they and every object of theirs would be taken away at the end. "
                   "Use another cluster, or uninstall the Fairlead that is there")
    return out


def spaces_to_remove(found):
    return [name for name in SPACES if labelled(found.spaces.get(name, {}))]


def releases_to_remove(found):
    return [one for one in RELEASES if one in found.releases]


def roles_to_label(before, found):
    """The operator made them since `before`; one that was there belongs to another operator, and this one only uses it."""
    return sorted(name for name in found.roles if name not in before.roles)


def roles_to_remove(found):
    return sorted(name for name, labels in found.roles.items() if labelled(labels))


def namespace(name, labels=None, annotations=None):
    return {"apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": name, "labels": {OURS: "true", **(labels or {})}, "annotations": annotations or {}}}


def spaces_to_make(in_hub, found):
    """In the hub the agents' namespace is a part of chart fairlead, which takes it over by these marks; elsewhere the operator
    uses what is there."""
    if in_hub:
        spaces = [namespace(SYSTEM), namespace(AGENTS, {"app.kubernetes.io/managed-by": "Helm"},
                                               {"meta.helm.sh/release-name": "fairlead", "meta.helm.sh/release-namespace": SYSTEM})]
    else:
        spaces = [namespace(AGENTS, {"pod-security.kubernetes.io/enforce": "restricted"})]
    return [one for one in [*spaces, namespace(SPACE)] if one["metadata"]["name"] not in spaces_to_remove(found)]


def _labels_by_name(items):
    return {one["metadata"]["name"]: one["metadata"].get("labels", {}) for one in items}


class Ours:
    """Of the clusters of a fleet. Owns no connection; every call asks the clusters anew."""

    def __init__(self, fleet):
        self._fleet, self._before = fleet, {}

    def look(self, name):
        cluster = self._fleet.clusters[name]
        in_hub = cluster is self._fleet.hub
        crds = [one.removeprefix("customresourcedefinition.apiextensions.k8s.io/")
                for one in cluster.kubectl("get", "crd", "-o", "name").split()] if in_hub else []
        return Found(spaces=_labels_by_name(cluster.get("namespaces")["items"]),
                     crds=tuple(one for one in crds if one.endswith(".fairlead.dev")),
                     releases=frozenset(self._fleet.releases(LABEL)) if in_hub else frozenset(),
                     roles=_labels_by_name(cluster.get("clusterroles", "-l", MADE_BY_OPERATOR)["items"]))

    def refusals(self):
        """Of all clusters; changes nothing."""
        return [why for name, cluster in self._fleet.clusters.items()
                for why in refusals(f"{name} ({cluster.api().host})", cluster.kubeconfig, self.look(name))]

    def claim(self):
        """The namespaces, labelled from the first moment. One that somebody else made meanwhile is a failure, not ours."""
        for name, cluster in self._fleet.clusters.items():
            self._before[name] = self.look(name)
            for space in spaces_to_make(cluster is self._fleet.hub, self._before[name]):
                cluster.create(space)

    def label_roles(self):
        """Those the operator made when it installed agents."""
        for name, cluster in self._fleet.clusters.items():
            roles = roles_to_label(self._before[name], self.look(name))
            if roles:
                cluster.kubectl("label", "clusterrole", *roles, LABEL)

    def remove_resources(self):
        """Accounts and agents: their finalizers want the operator."""
        if SYSTEM in spaces_to_remove(self.look("hub")):
            self._fleet.remove_resources()

    def remove(self):
        """In the order that leaves nothing: resources, releases, namespaces, what the operator shares and therefore keeps."""
        self.remove_resources()
        for release, space in releases_to_remove(self.look("hub")):
            self._fleet.helm("uninstall", release, "--namespace", space, "--wait")
        for name, cluster in self._fleet.clusters.items():
            found = self.look(name)
            for kind, names in (("namespace", spaces_to_remove(found)), ("clusterrole", roles_to_remove(found))):
                if names:
                    cluster.kubectl("delete", kind, *names, "--ignore-not-found", "--timeout=90s")
