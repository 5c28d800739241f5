"""Two real clusters with kubelets, hub and spoke, and Fairlead installed in the hub with its charts. For make demo and
e2e/test_operator.py. Everything is started and ended by tools/cluster, by process id."""
import json
import os
import pathlib
import sqlite3
import subprocess

from e2e.support.api import Api
from e2e.support.system import BIN, ROOT

CACHE = pathlib.Path(os.environ.get("FAIRLEAD_CACHE", pathlib.Path.home() / ".cache/fairlead"))
CLUSTER = ROOT / "tools/cluster/cluster"
ENV = {**os.environ, "PATH": f"{CACHE}/k8sbin:{CACHE}/bin:{os.environ['PATH']}"}
ENV.pop("KUBECONFIG", None)  # a user's cluster is never touched
AGENT_PORT = 30943


class CommandFailed(AssertionError):
    pass


def run(*command, check=True, stdin=None):
    """Output of a command, error output included."""
    done = subprocess.run([str(part) for part in command], env=ENV, input=stdin, text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if check and done.returncode != 0:
        raise CommandFailed(f"{' '.join(str(part) for part in command)}\n{done.stdout}")
    return done.stdout


class Cluster:
    def __init__(self, number):
        self.number = number
        self.state = CACHE / f"clusters/{number}"
        self.kubeconfig = self.state / "kubeconfig"

    def up(self):
        run(CLUSTER, "up", self.number)

    def down(self):
        run(CLUSTER, "down", self.number, check=False)

    def load(self, image):
        run(CLUSTER, "load", self.number, CACHE / f"images/{image.replace(':', '-')}.tar")

    def kubectl(self, *args, **more):
        return run("kubectl", "--kubeconfig", self.kubeconfig, *args, **more)

    def apply(self, *objects):
        text = "\n---\n".join(one if isinstance(one, str) else json.dumps(one) for one in objects)
        return self.kubectl("apply", "-f", "-", stdin=text)

    def get(self, *args):
        return json.loads(self.kubectl("get", *args, "-o", "json"))

    def api(self):
        return Api(self.kubeconfig)

    def audit(self, since=0):
        """Requests as (user, verb, resource), written after byte `since`."""
        with open(self.state / "audit.log", encoding="utf-8") as log:
            log.seek(since)
            lines = [json.loads(line) for line in log if line.endswith("\n")]
        return [(line["user"]["username"], line["verb"], line.get("objectRef", {}).get("resource", "")) for line in lines]

    def audit_size(self):
        return (self.state / "audit.log").stat().st_size


class Rows:
    """The endpoint's SQLite file, read where the kubelet keeps the pod's volume."""

    def __init__(self, hub):
        uid = hub.kubectl("-n", "fairlead", "get", "pod", "-l", "app.kubernetes.io/name=fairlead-endpoint", "-o",
                          "jsonpath={.items[0].metadata.uid}")
        self.path = hub.state / f"kubelet/pods/{uid}/volumes/kubernetes.io~empty-dir/data/fairlead.db"
        self.connection = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, isolation_level=None)

    def version(self, account, resource, namespace, name):
        row = self.connection.execute(
            "SELECT resource_version FROM account_objects WHERE account = ? AND resource = ? AND namespace = ? AND name = ?",
            (account, resource, namespace, name)).fetchone()
        return None if row is None else int(row[0])

    def count(self, account, resource=None, namespace=None):
        query, values = "SELECT count(*) FROM account_objects WHERE account = ?", [account]
        for column, value in (("resource", resource), ("namespace", namespace)):
            if value is not None:
                query += f" AND {column} = ?"
                values.append(value)
        return self.connection.execute(query, values).fetchone()[0]


class Fleet:
    def __init__(self, hub, spoke):
        self.hub, self.spoke = Cluster(hub), Cluster(spoke)

    def images(self):
        """Images of the binaries in FAIRLEAD_BIN, built and loaded without a registry."""
        for name in ("agent", "endpoint", "operator"):
            stripped = CACHE / f"images/fairlead-{name}"
            stripped.parent.mkdir(parents=True, exist_ok=True)
            run("strip", "-o", stripped, BIN / f"fairlead-{name}")
            run(ROOT / "tools/image/build", f"{name}:0.1.0", stripped)
            stripped.unlink()
            self.hub.load(f"{name}:0.1.0")
        self.spoke.load("agent:0.1.0")

    def install(self, *settings):
        helm = ("helm", "--kubeconfig", self.hub.kubeconfig, "upgrade", "--install")
        run(*helm, "fairlead-crds", ROOT / "charts/fairlead-crds")
        values = ["endpoint.persistence.size=", "endpoint.agentService.type=NodePort",
                  f"endpoint.agentService.nodePort={AGENT_PORT}",
                  f"endpoint.agentAddresses={{10.88.{self.hub.number}.1:{AGENT_PORT}}}", *settings]
        sets = [part for value in values for part in ("--set", value)]
        run(*helm, "fairlead", ROOT / "charts/fairlead", "--namespace", "fairlead", "--create-namespace", "--wait",
            "--timeout", "120s", *sets)

    def give_kubeconfig(self, name="spoke-kubeconfig"):
        """The spoke's kubeconfig as a Secret of the hub."""
        secret = run("kubectl", "create", "secret", "generic", name, "-n", "fairlead", "--dry-run=client", "-o", "yaml",
                     f"--from-file=value={self.spoke.kubeconfig}")
        self.hub.apply(secret)
