#!/usr/bin/env python3
"""make demo: two real Kubernetes clusters, Fairlead installed with its charts, and what a user would do with it.

hub and spoke each have a network namespace and a node of their own. KEEP=1 leaves all of it up and says what to try.
DEMO_KUBECONFIG uses a cluster that is there already as the hub (and as all there is, without DEMO_SPOKE_KUBECONFIG); IMAGE_LOAD
is the command that brings an image archive, its last argument, into it (DEMO_SPOKE_IMAGE_LOAD: into the spoke). What the
demo makes carries the label fairlead.dev/demo=true and is removed at the end, unless KEEP=1; a cluster whose namespaces or CRDs of
those names no demo made is refused before anything is changed. Ends with 0 only when everything it shows was so.
"""
import os
import pathlib
import shlex
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
from e2e.support import fleet, rows, verdict  # noqa: E402
from e2e.support.api import ApiError  # noqa: E402
from e2e.support.probe import Probe  # noqa: E402
from e2e.support.storm import Storm  # noqa: E402
from e2e.support.system import CACHE, wait_for  # noqa: E402
from tools.demo.ours import LABEL, SPACE, STORM, Ours, namespace  # noqa: E402

CHANGES = 200
ACCOUNTS = (ROOT / "tools/demo/accounts.yaml").read_text(encoding="utf-8")
STARTED = time.monotonic()


def say(text):
    print(f"[{time.monotonic() - STARTED:6.1f} s] {text}", flush=True)


class OwnClusters:
    """Started for the demo, and gone after it."""

    def __init__(self):
        self.fleet = fleet.Fleet(fleet.Cluster(1), fleet.Cluster(2))
        self.ours = Ours(self.fleet)

    def up(self):
        for name, cluster in self.fleet.clusters.items():
            say(f"cluster {cluster.number}, {name}: etcd, kube-apiserver, controller-manager, scheduler, kubelet, containerd")
            cluster.up()
        self.ours.claim()

    def down(self):
        for cluster in self.fleet.clusters.values():
            cluster.down()
        say("both clusters are gone")

    def rows(self):
        return rows.Rows(self.fleet.hub)

    def what_to_try(self, endpoint_rows):
        hub, spoke = self.fleet.hub, self.fleet.spoke
        print(f"""
Both clusters are up. To try:
  export PATH={CACHE}/k8sbin:{CACHE}/bin:$PATH
  kubectl --kubeconfig {hub.kubeconfig} -n fairlead get clusteraccounts,agentdeployments -o wide
  kubectl --kubeconfig {hub.kubeconfig} explain clusteraccount.spec.access
  kubectl --kubeconfig {spoke.kubeconfig} -n fairlead-agent get pods
  sqlite3 'file:{endpoint_rows.path}?mode=ro' 'SELECT account, resource, count(*) FROM account_objects GROUP BY 1, 2'
To end it: tools/cluster/cluster down {hub.number}; tools/cluster/cluster down {spoke.number}""")


class GivenClusters:
    """Left as they were found. What somebody else installed there is refused, not removed."""

    def __init__(self, hub, spoke):
        load = os.environ.get("IMAGE_LOAD")
        if not load:
            raise SystemExit("demo: DEMO_KUBECONFIG needs IMAGE_LOAD, a command that brings an image archive into that cluster, such as\n"
                             "  IMAGE_LOAD='kind load image-archive --name NAME' or IMAGE_LOAD='tools/cluster/cluster load 1'")
        there = fleet.GivenCluster(spoke, os.environ.get("DEMO_SPOKE_IMAGE_LOAD", load)) if spoke else None
        self.fleet = fleet.Fleet(fleet.GivenCluster(hub, load), there)
        self.ours = Ours(self.fleet)
        self._touched = False

    def up(self):
        for name, cluster in self.fleet.clusters.items():
            say(f"{name}: {cluster.api().host}, by {cluster.kubeconfig}")
            cluster.up()
        refused = self.ours.refusals()
        if refused:
            raise SystemExit("demo: nothing was changed, because\n- " + "\n- ".join(refused))
        self._touched = True
        self.ours.claim()
        self.ours.remove_resources()  # of an earlier demo, which may have had a spoke
        if not (CACHE / "images/pause-1.tar").exists():
            fleet.run(ROOT / "tools/image/pause")
        for cluster in self.fleet.clusters.values():
            cluster.load(CACHE / "images/pause-1.tar")

    def down(self):
        if not self._touched:
            return
        say("removing what was installed")
        self.ours.remove()
        say("the clusters are as they were")

    def rows(self):
        return rows.ServedRows(self.fleet.hub)

    def what_to_try(self, _):
        print(f"\nFairlead stays installed. To try:\n  kubectl --kubeconfig {shlex.quote(str(self.fleet.hub.kubeconfig))} -n fairlead "
              "get clusteraccounts,agentdeployments -o wide\nTo remove it, run the demo again without KEEP=1.")


def install(both):
    both.images()
    say("images built and loaded, without a registry")
    both.install(label=LABEL)
    say("Fairlead is installed: helm install fairlead-crds, fairlead")


def add_accounts(both):
    if both.spoke:
        both.give_kubeconfig()
    wanted = [one for one in ACCOUNTS.split("\n---\n") if both.spoke or "name: spoke," not in one]
    began = time.monotonic()
    print(both.hub.apply(*wanted), end="")
    for kind in ("clusteraccount", "agentdeployment"):
        both.hub.kubectl("-n", "fairlead", "wait", "--for=condition=Ready", kind, "--all", "--timeout=120s")
    say(f"kubectl wait --for=condition=Ready: accounts and agents, {time.monotonic() - began:.1f} s after kubectl apply")
    print(both.hub.kubectl("-n", "fairlead", "get", "clusteraccount,agentdeployment"), end="")


def show_rows(stored, account, cluster):
    def timed(what, action, condition):
        action()
        began = time.monotonic()
        wait_for(what, condition, 30, pause=0.002)
        say(f"  {what}: {1000 * (time.monotonic() - began):.0f} ms after kubectl returned")

    def version():
        return stored.version(account, "deployments", SPACE, "web")

    def kubectl(*args):
        return lambda: cluster.kubectl("-n", SPACE, *args)

    say(f"rows appear, change and vanish while kubectl works in the {account}")
    timed("kubectl create deployment -> its row",
          kubectl("create", "deployment", "web", "--image=fairlead.local/pause:1", "--replicas=1"), version)
    timed("kubectl scale --replicas=3 -> rows of three pods", kubectl("scale", "deployment", "web", "--replicas=3"),
          lambda: stored.count(account, "pods", SPACE) == 3)
    before = version()
    timed("kubectl annotate -> the row changes", kubectl("annotate", "deployment", "web", "demo=edited"), lambda: version() > before)
    timed("kubectl delete deployment -> its row and its pods' rows are gone",
          kubectl("delete", "deployment", "web", "--cascade=foreground", "--wait=true"),
          lambda: version() is None and stored.count(account, "pods", SPACE) == 0)


def probe_of(stored, account, api):
    return Probe(api, SPACE, lambda *object_name: stored.version(account, *object_name))


def latencies(stored, apis):
    say(f"{CHANGES} changes, one after the other, in {' and '.join(apis)}: write answered -> row readable")
    probes = [probe_of(stored, account, api) for account, api in apis.items()]
    taken = [1000 * probes[i % len(probes)].write_to_row(30) for i in range(CHANGES)]
    cuts = statistics.quantiles(taken, n=100)
    say(f"  p50 {cuts[49]:.1f} ms, p99 {cuts[98]:.1f} ms, max {max(taken):.1f} ms")


def failover(stored, account, cluster, api):
    cluster.create(namespace(STORM))
    storm = Storm(api, STORM, writes=10**6, rate=250, threads=12, kinds=("ConfigMap", "Pod")).start()
    try:
        storm.wait_until_fast()
        pod = wait_for("an agent serves", cluster.primary_pod)
        say(f"the primary agent of the {account} is killed, while {storm.rate():.0f} writes a second run: {pod}")
        killing = cluster.kill_pod(pod)
        gap, writes = probe_of(stored, account, api).longest_gap(6)
        killing.wait()
    finally:
        storm.stop()
        cluster.kubectl("delete", "namespace", STORM, "--wait=false")
    if wait_for("an agent serves", cluster.primary_pod) == pod:
        raise AssertionError("the killed pod still serves")
    say(f"  the standby serves; longest time a write's row was not readable: {1000 * gap:.0f} ms "
        f"({writes} writes probed, {storm.answered} in all)")


def compare(stored, apis):
    say(f"the verdict: {stored.said} against fresh quorum lists")
    for account, api in apis.items():
        # kubelets and Leases go on writing: asked until one moment agrees.
        compared = verdict.wait_until(lambda a=account, w=api: stored.differences(a, w), seconds=30)
        say(f"  {account}: {compared} objects compared, 0 differences")


def show(clusters):
    both = clusters.fleet
    clusters.up()
    install(both)
    try:
        add_accounts(both)
    finally:
        clusters.ours.label_roles()
    stored = clusters.rows()
    try:
        apis = {name: cluster.api() for name, cluster in both.clusters.items()}
        busiest = "spoke" if both.spoke else "hub"
        show_rows(stored, busiest, both.clusters[busiest])
        latencies(stored, apis)
        failover(stored, busiest, both.clusters[busiest], apis[busiest])
        compare(stored, apis)
    finally:
        stored.close()
    return stored


def main():
    keep = os.environ.get("KEEP") == "1"
    given = os.environ.get("DEMO_KUBECONFIG")
    clusters = GivenClusters(given, os.environ.get("DEMO_SPOKE_KUBECONFIG")) if given else OwnClusters()
    try:
        stored = show(clusters)
        say("everything was as it should be")
    except (AssertionError, ApiError, OSError, subprocess.SubprocessError) as problem:
        raise SystemExit(f"demo: {problem}") from problem
    finally:
        if not keep:
            clusters.down()
    if keep:
        clusters.what_to_try(stored)


if __name__ == "__main__":
    main()
