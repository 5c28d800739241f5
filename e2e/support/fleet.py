"""Real clusters, hub and spoke, and Fairlead installed in the hub with its charts: for make demo and e2e/test_operator.
Either clusters of our own, which tools/cluster starts and ends by process id, or such as were there before."""
import json
import pathlib
import re
import shlex
import subprocess

from e2e.support.api import Api
from e2e.support.system import BIN, CACHE, ENV, ROOT, read_audit

CLUSTER = ROOT / "tools/cluster/cluster"
AGENT_PORT = 30943
VERSION = "0.1.0"


class CommandFailed(AssertionError):
    pass


def run(*command, check=True, stdin=None, errors=subprocess.STDOUT):
    """Output of a command, error output included; without it (warnings, too) with errors=subprocess.PIPE."""
    done = subprocess.run([str(part) for part in command], env=ENV, input=stdin, text=True, check=False,
                          stdout=subprocess.PIPE, stderr=errors)
    if check and done.returncode != 0:
        raise CommandFailed(f"{' '.join(str(part) for part in command)}\n{done.stdout}{done.stderr or ''}")
    return done.stdout


class GivenCluster:
    """A cluster that is there already. `load_command` is run with the path of an image archive as its last argument."""

    def __init__(self, kubeconfig, load_command):
        self.kubeconfig, self.load_command = pathlib.Path(kubeconfig), load_command

    def up(self):
        """Asks whether it answers."""
        self.kubectl("get", "--raw", "/readyz")

    def load(self, archive):
        run(*shlex.split(self.load_command), archive)

    def kubectl(self, *args, **more):
        return run("kubectl", "--kubeconfig", self.kubeconfig, *args, **more)

    def apply(self, *objects):
        text = "\n---\n".join(one if isinstance(one, str) else json.dumps(one) for one in objects)
        return self.kubectl("apply", "-f", "-", stdin=text)

    def create(self, thing):
        """Fails when it is there already."""
        self.kubectl("create", "-f", "-", stdin=json.dumps(thing))

    def get(self, *args):
        return json.loads(self.kubectl("get", *args, "-o", "json", errors=subprocess.PIPE))

    def has(self, *args):
        return bool(self.kubectl("get", *args, "--ignore-not-found", "-o", "name").strip())

    def api(self):
        return Api(self.kubeconfig)

    def address(self):
        """Of a node, as other clusters reach it."""
        return self.kubectl("get", "nodes", "-o", 'jsonpath={.items[0].status.addresses[?(@.type=="InternalIP")].address}').split()[0]

    def primary_pod(self):
        """Name of the agent's pod that serves this cluster's account now; None while none does."""
        for name in self.kubectl("-n", "fairlead-agent", "get", "pods", "-o", "jsonpath={.items[*].metadata.name}").split():
            metrics = self.kubectl("get", "--raw", f"/api/v1/namespaces/fairlead-agent/pods/{name}:8080/proxy/metrics", check=False)
            if re.search(r"^fairlead_agent_accounts_granted [1-9]", metrics, re.MULTILINE):
                return name
        return None

    def kill_pod(self, name):
        """An agent's pod, without a chance to say goodbye; returns the command while it still runs."""
        return subprocess.Popen(["kubectl", "--kubeconfig", str(self.kubeconfig), "-n", "fairlead-agent", "delete", "pod", name,
                                 "--grace-period=0", "--force"], env=ENV, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Cluster(GivenCluster):
    """One of our own, by number."""

    def __init__(self, number):
        self.number = number
        self.state = CACHE / f"clusters/{number}"
        super().__init__(self.state / "kubeconfig", f"{CLUSTER} load {number}")

    def up(self):
        run(CLUSTER, "up", self.number)

    def down(self):
        run(CLUSTER, "down", self.number, check=False)

    def audit(self, since=0):
        """Requests written after byte `since`."""
        return read_audit(self.state / "audit.log", since)

    def audit_size(self):
        return (self.state / "audit.log").stat().st_size


class Fleet:
    """`spoke` may be None: then the hub is all there is."""

    def __init__(self, hub, spoke):
        self.hub, self.spoke = hub, spoke

    @property
    def clusters(self):
        return {"hub": self.hub} | ({"spoke": self.spoke} if self.spoke else {})

    def images(self):
        """Images of the binaries in FAIRLEAD_BIN, built and loaded without a registry."""
        for name in ("agent", "endpoint", "operator"):
            stripped = CACHE / f"images/fairlead-{name}"
            stripped.parent.mkdir(parents=True, exist_ok=True)
            run("strip", "-o", stripped, BIN / f"fairlead-{name}")
            run(ROOT / "tools/image/build", f"{name}:{VERSION}", stripped)
            stripped.unlink()
            self.hub.load(CACHE / f"images/{name}-{VERSION}.tar")
        if self.spoke:
            self.spoke.load(CACHE / f"images/agent-{VERSION}.tar")

    def helm(self, *args, **more):
        return run("helm", "--kubeconfig", self.hub.kubeconfig, *args, **more)

    def releases(self, label):
        """(name, namespace) of each helm release in the hub that carries the label, in whatever state it is."""
        found = self.helm("list", "--all", "--all-namespaces", "--selector", label, "--output", "json", errors=subprocess.PIPE)
        return [(one["name"], one["namespace"]) for one in json.loads(found)]

    def install(self, *settings, label=None):
        """`label` is for the releases."""
        marks = ("--labels", label) if label else ()
        self.helm("upgrade", "--install", "fairlead-crds", ROOT / "charts/fairlead-crds", "--namespace", "default", *marks)
        values = ["endpoint.persistence.size=", *settings]
        if self.spoke:
            values += ["endpoint.agentService.type=NodePort", f"endpoint.agentService.nodePort={AGENT_PORT}",
                       f"endpoint.agentAddresses={{{self.hub.address()}:{AGENT_PORT}}}"]
        sets = [part for value in values for part in ("--set", value)]
        self.helm("upgrade", "--install", "fairlead", ROOT / "charts/fairlead", "--namespace", "fairlead", "--create-namespace", "--wait",
                  "--timeout", "120s", *marks, *sets)

    def give_kubeconfig(self, name="spoke-kubeconfig"):
        """The spoke's kubeconfig as a Secret of the hub."""
        whole = self.spoke.kubectl("config", "view", "--raw", "--flatten", "--minify")
        self.hub.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "fairlead"}, "stringData": {"value": whole}})

    def remove_resources(self):
        """Accounts first: their finalizers take the agents away, and want the operator for it."""
        for kind in ("clusteraccounts", "agentdeployments"):
            if self.hub.has("crd", f"{kind}.fairlead.dev"):
                self.hub.kubectl("-n", "fairlead", "delete", kind, "--all", "--timeout=90s")
