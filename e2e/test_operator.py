"""The operator with two real clusters (kubelets, containerd): installed by its charts, driven by kubectl."""
import base64
import re
import time

import pytest

from e2e.support import fleet, verdict
from e2e.support.probe import Probe
from e2e.support.rows import Rows
from e2e.support.storm import Storm
from e2e.support.system import ROOT, wait_for

ACCOUNTS = (ROOT / "tools/demo/accounts.yaml").read_text(encoding="utf-8")
CANARY = "canary-5f1c2d7e9b"


@pytest.fixture(scope="module", name="both")
def installed_fleet():
    both = fleet.Fleet(fleet.Cluster(11), fleet.Cluster(12))
    both.hub.down()
    both.spoke.down()
    try:
        both.hub.up()
        both.spoke.up()
        both.images()
        both.hub.kubectl("create", "namespace", "other")
        both.install("operator.driftIntervalSeconds=5", "watchNamespaces={fairlead,other}")
        both.give_kubeconfig()
        both.hub.apply(ACCOUNTS)
        for kind in ("clusteraccount", "agentdeployment"):
            both.hub.kubectl("-n", "fairlead", "wait", "--for=condition=Ready", kind, "--all", "--timeout=90s")
        yield both
    finally:
        both.hub.down()
        both.spoke.down()


@pytest.fixture(scope="module", name="rows")
def endpoint_rows(both):
    return Rows(both.hub)


def account(name, namespace="fairlead", **spec):
    whole = {"connection": {"inCluster": {}}, "access": {"profile": "read", "level": "Cluster"},
             "permissions": {"mode": "Unrestricted"}, **spec}
    return {"apiVersion": "fairlead.dev/v1alpha1", "kind": "ClusterAccount",
            "metadata": {"name": name, "namespace": namespace}, "spec": whole}


def condition(cluster, kind, name, wanted, namespace="fairlead"):
    status = cluster.get("-n", namespace, kind, name).get("status", {})
    return next((one for one in status.get("conditions", []) if one["type"] == wanted), {})


def wait_for_reason(cluster, name, reason, namespace="fairlead", seconds=20):
    return wait_for(f"{name} is {reason}", lambda: (
        lambda found: found if found.get("reason") == reason else None)(
            condition(cluster, "clusteraccount", name, "Ready", namespace)), seconds)


def agent_deployment(cluster):
    return cluster.get("-n", "fairlead-agent", "deployments")["items"][0]


def operator_logs(both):
    return both.hub.kubectl("-n", "fairlead", "logs", "-l", "app.kubernetes.io/name=fairlead-operator", "--tail=-1")


def test_rows_of_both_clusters_are_exactly_their_lists(both, rows):
    for name, cluster in (("hub", both.hub), ("spoke", both.spoke)):
        verdict.wait_until_equal(rows.path, name, cluster.api(), seconds=30, at_least=20)


def test_a_hand_edited_child_is_corrected_and_a_foreign_annotation_stays(both):
    name = agent_deployment(both.spoke)["metadata"]["name"]
    both.spoke.kubectl("-n", "fairlead-agent", "annotate", "deployment", name, "mine=yes")
    both.spoke.kubectl("-n", "fairlead-agent", "set", "image", f"deployment/{name}", "agent=example.com/other:1")
    both.spoke.kubectl("-n", "fairlead-agent", "delete", "rolebinding", f"{name}-identity")

    def corrected():
        live = agent_deployment(both.spoke)
        image = live["spec"]["template"]["spec"]["containers"][0]["image"]
        bindings = both.spoke.get("-n", "fairlead-agent", "rolebindings")["items"]
        return image == "fairlead.local/agent:0.1.0" and bindings and live
    live = wait_for("image and binding are as the operator wants them", corrected, 30)
    assert live["metadata"]["annotations"]["mine"] == "yes"


def test_a_second_claim_of_a_name_is_stalled_and_the_first_keeps_it(both):
    both.hub.apply(account("thief", namespace="other", accountName="HUB"))
    found = wait_for_reason(both.hub, "thief", "AccountNameTaken", namespace="other")
    assert "fairlead/hub" in found["message"]
    assert condition(both.hub, "clusteraccount", "thief", "Stalled", "other")["status"] == "True"
    assert condition(both.hub, "clusteraccount", "hub", "Ready")["status"] == "True"
    both.hub.kubectl("-n", "other", "delete", "clusteraccount", "thief", "--timeout=20s")
    assert condition(both.hub, "clusteraccount", "hub", "Connected")["status"] == "True"


def test_bad_connections_are_conditions_that_name_the_field_and_never_the_secret(both):
    kubeconfig = {"purpose": "Install", "secretRef": {"name": "bad"}}
    both.hub.apply(account("bad", connection={"kubeconfig": kubeconfig}))
    wait_for_reason(both.hub, "bad", "CredentialNotFound")
    hostile = ("apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{name: c, context: {cluster: c, user: u}}]\n"
               "clusters: [{name: c, cluster: {server: 'https://10.88.12.1:6443'}}]\n"
               f"users: [{{name: u, user: {{token: {CANARY}, exec: {{command: /bin/sh}}}}}}]\n")
    both.hub.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "bad", "namespace": "fairlead"},
                    "data": {"value": base64.b64encode(hostile.encode()).decode()}})
    found = wait_for_reason(both.hub, "bad", "CredentialInvalid", seconds=60)
    assert "exec" in found["message"]
    everything = both.hub.kubectl("-n", "fairlead", "get", "clusteraccounts,events", "-o", "yaml") + operator_logs(both)
    assert CANARY not in everything
    assert base64.b64encode(CANARY.encode()).decode() not in everything
    both.hub.kubectl("-n", "fairlead", "delete", "clusteraccount", "bad", "--timeout=20s")


def test_the_operators_death_moves_leadership_and_writes_no_status(both):
    def versions():
        return {one["metadata"]["name"]: one["metadata"]["resourceVersion"]
                for one in both.hub.get("-n", "fairlead", "clusteraccounts,agentdeployments")["items"]}
    time.sleep(3)
    before = versions()
    holder = both.hub.get("-n", "fairlead", "lease", "fairlead-operator")["spec"]["holderIdentity"]
    pod = holder.rsplit("_", 1)[0]
    both.hub.kubectl("-n", "fairlead", "delete", "pod", pod, "--grace-period=0", "--force")
    wait_for("another holder", lambda: both.hub.get("-n", "fairlead", "lease", "fairlead-operator")["spec"]["holderIdentity"]
             not in ("", holder), 30)
    time.sleep(10)
    assert versions() == before


def test_a_killed_agent_pods_standby_takes_over_in_a_storm_without_a_list(both, rows):
    api = both.spoke.api()
    both.spoke.kubectl("create", "namespace", "storm")
    wait_for("an agent of the spoke serves", both.spoke.primary_pod, 30)
    storm = Storm(api, "storm", writes=10**6, rate=250, threads=12, kinds=("ConfigMap", "Pod")).start()
    try:
        storm.wait_until_fast()  # every kill lands while at least 100 writes a second run
        primary = both.spoke.primary_pod()
        mark = both.spoke.audit_size()
        killing = both.spoke.kill_pod(primary)
        gap, writes = Probe(api, "storm", lambda *object_name: rows.version("spoke", *object_name)).longest_gap(seconds=6)
        killing.wait()
    finally:
        storm.stop()
    print(f"longest time a write's row was not readable: {gap:.2f} s ({writes} writes probed, the storm at {storm.rate():.0f}/s)")
    assert gap < 10
    assert wait_for("another pod serves", both.spoke.primary_pod) != primary
    verdict.wait_until_equal(rows.path, "spoke", api, seconds=30, at_least=100)
    agents = [one for one in both.spoke.audit(mark) if one.user.startswith("system:serviceaccount:fairlead-agent:")]
    assert agents
    assert not [one for one in agents if one.full_list]


def test_two_minutes_of_steady_state_write_nothing(both):
    time.sleep(5)
    marks = {cluster: cluster.audit_size() for cluster in (both.hub, both.spoke)}
    time.sleep(120)
    for cluster, mark in marks.items():
        requests = cluster.audit(mark)
        writes = [one for one in requests if "fairlead" in one.user and one.verb not in ("get", "list", "watch") and one.resource != "leases"]
        assert not writes
    # The operator was at work all the while: the spoke was visited with the credential of its Secret.
    hub_reads = [one for one in both.hub.audit(marks[both.hub]) if one.user.endswith(":fairlead-operator") and one.verb == "get"]
    assert len(hub_reads) > 100


def test_a_namespace_that_leaves_the_access_loses_its_binding(both):
    scoped = {"access": {"profile": "read", "level": "Namespaces", "namespaces": ["default", "other"]}}
    wanted = account("scoped", **scoped)
    wanted["metadata"]["labels"] = {"env": "demo"}
    both.hub.apply(wanted)

    def bindings():
        return {one["metadata"]["namespace"] for one in both.hub.get("rolebindings", "-A")["items"]
                if one["roleRef"]["name"] == "fairlead:agent:read"}
    wait_for("bindings in both namespaces", lambda: bindings() == {"default", "other"}, 30)
    wait_for("its agent serves", lambda: condition(both.hub, "clusteraccount", "scoped", "Synced").get("status") == "True", 40)
    wanted["spec"]["access"]["namespaces"] = ["default"]
    both.hub.apply(wanted)
    wait_for("the binding is gone", lambda: bindings() == {"default"}, 30)
    both.hub.kubectl("-n", "fairlead", "delete", "clusteraccount", "scoped", "--timeout=40s")
    assert bindings() == set()


def test_a_deleted_account_leaves_nothing_in_its_cluster_and_no_row(both, rows):
    assert rows.count("spoke") > 0
    both.hub.kubectl("-n", "fairlead", "delete", "clusteraccount", "spoke", "--timeout=40s")
    left = both.spoke.kubectl("-n", "fairlead-agent", "get", "deployments,pods,configmaps,secrets,serviceaccounts,roles,rolebindings",
                              "-o", "name")
    assert not re.search("fairlead", left), left
    assert "fairlead-agent" not in both.spoke.kubectl("get", "clusterrolebindings", "-o", "name")
    assert rows.count("spoke") == 0
    assert condition(both.hub, "clusteraccount", "hub", "Connected")["status"] == "True"


def test_a_deleted_agent_deployment_takes_its_agents_and_leaves_the_accounts(both):
    both.hub.kubectl("-n", "fairlead", "delete", "agentdeployment", "demo", "--timeout=40s")
    assert not both.hub.get("-n", "fairlead-agent", "deployments")["items"]
    hub = both.hub.get("-n", "fairlead", "clusteraccount", "hub")
    assert "agent" not in hub["status"]
    assert condition(both.hub, "clusteraccount", "hub", "Ready")["status"] == "True"
