"""What make demo refuses to start beside, and what it takes away: decided from what was found in a cluster, without one."""
from tools.demo import ours
from tools.demo.ours import Found

MINE, OTHERS = {"fairlead.dev/demo": "true"}, {"kubernetes.io/metadata.name": "x"}
CRDS = ("agentdeployments.fairlead.dev", "clusteraccounts.fairlead.dev")
KEPT = Found(spaces={"default": OTHERS, **{name: MINE for name in ours.SPACES}}, crds=CRDS, releases=frozenset(ours.RELEASES),
             roles={"fairlead:agent:deploy": MINE})


def test_an_empty_cluster_and_one_that_a_demo_left_are_taken():
    assert not ours.refusals("hub", "/k", Found(spaces={"default": OTHERS, "kube-system": OTHERS}))
    assert not ours.refusals("hub", "/k", KEPT)


def test_each_namespace_of_the_demos_names_that_no_demo_made_is_refused_with_name_cause_and_next_step():
    for name in ("fairlead", "fairlead-agent", "fairlead-demo", "fairlead-demo-storm"):
        for labels in (OTHERS, {"fairlead.dev/demo": "false"}):
            (why,) = ours.refusals("spoke (10.88.2.1)", "/a file", KEPT._replace(spaces={**KEPT.spaces, name: labels}))
            assert why.startswith(f"spoke (10.88.2.1) has the namespace {name}, which no demo made")
            assert why.endswith(f"kubectl --kubeconfig '/a file' label namespace {name} fairlead.dev/demo=true")


def test_everything_that_is_in_the_way_is_named_at_once():
    assert len(ours.refusals("hub", "/k", Found(spaces={"fairlead": OTHERS, "fairlead-agent": OTHERS}, crds=CRDS))) == 3


def test_crds_without_a_release_of_the_demos_are_refused():
    for found in (Found(crds=CRDS), KEPT._replace(releases=frozenset({("fairlead", "fairlead")})),
                  Found(crds=CRDS, releases=frozenset({("fairlead-crds", "fairlead")}))):
        (why,) = ours.refusals("hub", "/k", found)
        assert ", ".join(CRDS) in why


def test_only_what_carries_the_label_is_taken_away():
    assert ours.spaces_to_remove(KEPT) == list(ours.SPACES)
    assert ours.spaces_to_remove(KEPT._replace(spaces={"fairlead": OTHERS, "fairlead-agent": {}, "mine": MINE, "fairlead-demo": MINE})) == \
        ["fairlead-demo"]
    assert ours.releases_to_remove(KEPT) == [("fairlead", "fairlead"), ("fairlead-crds", "default")]
    assert ours.releases_to_remove(KEPT._replace(releases=frozenset({("fairlead", "spinnaker")}))) == []
    assert ours.roles_to_remove(Found(roles={"fairlead:agent:base": {}, "fairlead:agent:deploy": MINE})) == ["fairlead:agent:deploy"]


def test_a_role_that_another_operator_made_before_is_not_labelled():
    before = Found(roles={"fairlead:agent:base": OTHERS})
    now = Found(roles={"fairlead:agent:base": OTHERS, "fairlead:agent:deploy": OTHERS})
    assert ours.roles_to_label(before, now) == ["fairlead:agent:deploy"]


def test_every_namespace_is_made_with_the_label_and_an_unlabelled_one_is_not_taken_as_made():
    for in_hub, wanted in ((True, ["fairlead", "fairlead-agent", "fairlead-demo"]), (False, ["fairlead-agent", "fairlead-demo"])):
        made = ours.spaces_to_make(in_hub, Found(spaces={"fairlead-agent": OTHERS}))
        assert [one["metadata"]["name"] for one in made] == wanted
        assert all(ours.labelled(one["metadata"]["labels"]) for one in made)
        assert not ours.spaces_to_make(in_hub, KEPT)


class FakeCluster:
    """Keeps what it was asked to change."""

    def __init__(self, spaces, roles=()):
        self.spaces, self.roles, self.changes = spaces, dict(roles), []

    def get(self, kind, *_):
        found = self.spaces if kind == "namespaces" else self.roles
        return {"items": [{"metadata": {"name": name, "labels": labels}} for name, labels in found.items()]}

    def kubectl(self, verb, *args):
        if verb == "get":
            return ""
        self.changes.append((verb, *args))
        return ""


class FakeFleet:
    def __init__(self, hub, spoke, releases):
        self.hub, self.clusters, self._releases, self.changes = hub, {"hub": hub, "spoke": spoke}, releases, []

    def releases(self, label):
        assert label == "fairlead.dev/demo=true"
        return self._releases

    def helm(self, *args):
        self.changes.append(args)

    def remove_resources(self):
        self.changes.append("resources")


def test_in_clusters_of_others_nothing_is_changed_on_the_way_down():
    clusters = [FakeCluster({name: OTHERS for name in ours.SPACES}, {"fairlead:agent:deploy": OTHERS}) for _ in range(2)]
    fleet = FakeFleet(*clusters, releases=[])
    ours.Ours(fleet).remove()
    assert fleet.changes == [] and all(one.changes == [] for one in clusters)


def test_the_way_down_is_resources_releases_namespaces_and_shared_roles():
    hub, spoke = FakeCluster({"fairlead": MINE, "fairlead-agent": MINE}), FakeCluster({"fairlead-agent": MINE, "fairlead": OTHERS},
                                                                                      {"fairlead:agent:deploy": MINE, "other": OTHERS})
    fleet = FakeFleet(hub, spoke, list(ours.RELEASES))
    ours.Ours(fleet).remove()
    assert fleet.changes == ["resources", ("uninstall", "fairlead", "--namespace", "fairlead", "--wait"),
                             ("uninstall", "fairlead-crds", "--namespace", "default", "--wait")]
    assert [change[:-2] for change in hub.changes] == [("delete", "namespace", "fairlead", "fairlead-agent")]
    assert [change[:-2] for change in spoke.changes] == [("delete", "namespace", "fairlead-agent"),
                                                         ("delete", "clusterrole", "fairlead:agent:deploy")]
