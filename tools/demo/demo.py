#!/usr/bin/env python3
"""make demo: two real Kubernetes clusters, Fairlead installed with its charts, and what a user would do with it.

hub and spoke each have a network namespace and a node of their own. KEEP=1 leaves all of it up and says what to try.
Ends with 0 only when everything it shows was so.
"""
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
from e2e.support import fleet, verdict  # noqa: E402
from e2e.support.api import ApiError  # noqa: E402

CHANGES = 200
STARTED = time.monotonic()


def say(text):
    print(f"[{time.monotonic() - STARTED:6.1f} s] {text}", flush=True)


def wait_for(what, condition, seconds=60):
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not in {seconds} s: {what}")
        time.sleep(0.002)


def prepare(both):
    for cluster, name in ((both.hub, "hub"), (both.spoke, "spoke")):
        say(f"cluster {cluster.number}, {name}: etcd, kube-apiserver, controller-manager, scheduler, kubelet, containerd")
        cluster.up()
    both.images()
    say("images built and loaded, without a registry")
    both.install()
    say("Fairlead is installed: helm install fairlead-crds, fairlead")


def add_accounts(both):
    both.give_kubeconfig()
    began = time.monotonic()
    print(both.hub.kubectl("apply", "-f", ROOT / "tools/demo/accounts.yaml"), end="")
    for kind in ("clusteraccount", "agentdeployment"):
        both.hub.kubectl("-n", "fairlead", "wait", "--for=condition=Ready", kind, "--all", "--timeout=120s")
    say(f"kubectl wait --for=condition=Ready: accounts and agents, {time.monotonic() - began:.1f} s after kubectl apply")
    print(both.hub.kubectl("-n", "fairlead", "get", "clusteraccount,agentdeployment"), end="")


def show_rows(rows, spoke):
    def timed(what, action, condition):
        action()
        began = time.monotonic()
        wait_for(what, condition, 30)
        say(f"  {what}: {1000 * (time.monotonic() - began):.0f} ms after kubectl returned")

    say("rows appear, change and vanish while kubectl works in the spoke")
    spoke.kubectl("create", "namespace", "shop", check=False)
    image = "fairlead.local/pause:1"
    timed("kubectl create deployment -> its row",
          lambda: spoke.kubectl("-n", "shop", "create", "deployment", "web", f"--image={image}", "--replicas=1"),
          lambda: rows.version("spoke", "deployments", "shop", "web"))
    timed("kubectl scale --replicas=3 -> rows of three pods", lambda: spoke.kubectl("-n", "shop", "scale", "deployment", "web", "--replicas=3"),
          lambda: rows.count("spoke", "pods", "shop") == 3)
    before = rows.version("spoke", "deployments", "shop", "web")
    timed("kubectl annotate -> the row changes", lambda: spoke.kubectl("-n", "shop", "annotate", "deployment", "web", "demo=edited"),
          lambda: rows.version("spoke", "deployments", "shop", "web") > before)
    timed("kubectl delete deployment -> its row and its pods' rows are gone",
          lambda: spoke.kubectl("-n", "shop", "delete", "deployment", "web", "--cascade=foreground", "--wait=true"),
          lambda: rows.version("spoke", "deployments", "shop", "web") is None and rows.count("spoke", "pods", "shop") == 0)


def write(api, name, value):
    """Returns the resourceVersion of the answered write."""
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"n": str(value)}}
    answer = api.call("PATCH", f"/api/v1/namespaces/default/configmaps/{name}?fieldManager=demo&force=true", body,
                      content_type="application/apply-patch+yaml")
    return int(answer["metadata"]["resourceVersion"])


def latencies(rows, apis):
    say(f"{CHANGES} changes, one after the other, in both clusters: write answered -> row readable")
    taken = []
    for i in range(CHANGES):
        account = ("hub", "spoke")[i % 2]
        version = write(apis[account], "demo", i)
        began = time.monotonic()
        wait_for(f"row of change {i} in {account}", lambda a=account, v=version: (rows.version(a, "configmaps", "default", "demo") or 0) >= v, 30)
        taken.append(1000 * (time.monotonic() - began))
    cuts = statistics.quantiles(taken, n=100)
    say(f"  p50 {cuts[49]:.1f} ms, p99 {cuts[98]:.1f} ms, max {max(taken):.1f} ms")


def primary_pod(spoke):
    for name in spoke.kubectl("-n", "fairlead-agent", "get", "pods", "-o", "jsonpath={.items[*].metadata.name}").split():
        metrics = spoke.kubectl("get", "--raw", f"/api/v1/namespaces/fairlead-agent/pods/{name}:8080/proxy/metrics", check=False)
        if any(line.startswith("fairlead_agent_accounts_granted ") and float(line.split()[1]) > 0 for line in metrics.splitlines()):
            return name
    raise AssertionError("no agent of the spoke serves it")


def failover(rows, spoke):
    api = spoke.api()
    pod = primary_pod(spoke)
    say(f"the primary agent of the spoke is killed: {pod}")
    write(api, "failover", 0)
    killer = subprocess.Popen(["kubectl", "--kubeconfig", str(spoke.kubeconfig), "-n", "fairlead-agent", "delete", "pod", pod,
                               "--grace-period=0", "--force"], env=fleet.ENV, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    worst, until = 0.0, time.monotonic() + 6
    value = 1
    while time.monotonic() < until:
        version = write(api, "failover", value)
        began = time.monotonic()
        wait_for("a row after the kill", lambda v=version: (rows.version("spoke", "configmaps", "default", "failover") or 0) >= v, 60)
        worst = max(worst, time.monotonic() - began)
        value += 1
    killer.wait()
    if primary_pod(spoke) == pod:
        raise AssertionError("the killed pod still serves")
    say(f"  the standby serves; longest gap between a write's answer and its row: {1000 * worst:.0f} ms ({value - 1} writes)")


def compare(rows, apis):
    say("the verdict: every row against fresh quorum lists of both clusters")
    for account, api in apis.items():
        # kubelets and Leases go on writing: asked until one moment agrees.
        compared = verdict.wait_until_equal(rows.path, account, api, seconds=30)
        say(f"  {account}: {compared} objects compared, 0 differences")


def tear_down(both):
    both.hub.down()
    both.spoke.down()
    say("both clusters are gone")


def what_to_try(both, rows):
    hub, spoke = both.hub, both.spoke
    print(f"""
Both clusters are up. To try:
  export PATH={fleet.CACHE}/k8sbin:{fleet.CACHE}/bin:$PATH
  kubectl --kubeconfig {hub.kubeconfig} -n fairlead get clusteraccounts,agentdeployments -o wide
  kubectl --kubeconfig {hub.kubeconfig} explain clusteraccount.spec.access
  kubectl --kubeconfig {spoke.kubeconfig} -n fairlead-agent get pods
  sqlite3 'file:{rows.path}?mode=ro' 'SELECT account, resource, count(*) FROM account_objects GROUP BY 1, 2'
To end it: tools/cluster/cluster down {hub.number}; tools/cluster/cluster down {spoke.number}""")


def main():
    keep = os.environ.get("KEEP") == "1"
    both = fleet.Fleet(1, 2)
    try:
        prepare(both)
        add_accounts(both)
        rows = fleet.Rows(both.hub)
        apis = {"hub": both.hub.api(), "spoke": both.spoke.api()}
        show_rows(rows, both.spoke)
        latencies(rows, apis)
        failover(rows, both.spoke)
        compare(rows, apis)
        say("everything was as it should be")
    except (AssertionError, ApiError, OSError) as problem:
        raise SystemExit(f"demo: {problem}") from problem
    finally:
        if not keep:
            tear_down(both)
    if keep:
        what_to_try(both, rows)


if __name__ == "__main__":
    main()
