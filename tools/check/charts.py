#!/usr/bin/python3
"""make charts: the three charts are valid, render, and say what the rest of the repository says.

Lints and renders them; chart fairlead-crds equals crds/; pods are restricted; rights name what they are for; unknown values are refused by name; what
chart fairlead-agent needs and does not get is named; and what it renders equals what the operator renders for the same
installation (build/.../bin/render-agent), apart from what only one of them can have: its marks of ownership. The programs
read the configurations that the charts render.

usage: charts.py BUILD_DIR
"""
import copy
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHARTS = ROOT / "charts"
CACHE = pathlib.Path(os.environ.get("FAIRLEAD_CACHE", pathlib.Path.home() / ".cache/fairlead"))
NAMESPACE = "fairlead-agent"
FLOOR = "1.30.0"  # of Kubernetes, as the charts say
REVISION = "fairlead.dev/revision"

# The least a user gives to chart fairlead-agent.
MINIMUM = {"account": "prod_EU1", "identity": "prod-1", "bootstrapSecret": "first", "access": {"level": "Cluster"},
           "endpoint": {"addresses": ["endpoint.example.com:9443", "10.0.0.1:9443"], "name": "endpoint.example.com"}}
RESOURCES = {"requests": {"cpu": "1", "memory": "100Mi"}, "limits": {"memory": "1Gi"}}
TOLERATIONS = [{"key": "dedicated", "operator": "Equal", "value": "x", "effect": "NoSchedule"}]
DIGEST = "sha256:" + "0123456789abcdef" * 4

# The same installation said twice: name, spec.access, spec of the AgentDeployment, values of the chart.
GOLDEN = [
    ("cluster level, defaults", {"profile": "read", "level": "Cluster"}, {}, {}),
    ("namespaces, one replica, every option", {"profile": "deploy", "level": "Namespaces", "namespaces": ["shop", "pay"]},
     {"replicas": 1, "image": {"registry": "r.example.com", "repository": "x/agent", "digest": DIGEST, "pullPolicy": "Always"},
      "imagePullSecrets": [{"name": "pull"}], "resources": RESOURCES, "priorityClassName": "high",
      "podLabels": {"team": "x", "fairlead.dev/agent": "stolen"},
      "scheduling": {"nodeSelector": {"disk": "ssd"}, "tolerations": TOLERATIONS, "zoneSpread": "DoNotSchedule"}},
     {"access": {"profile": "deploy", "level": "Namespaces", "namespaces": ["shop", "pay"]},
      "agent": {"replicas": 1, "imagePullSecrets": ["pull"], "priorityClassName": "high", "resources": RESOURCES,
                "image": {"registry": "r.example.com", "repository": "x/agent", "digest": DIGEST, "pullPolicy": "Always"},
                "podLabels": {"team": "x", "fairlead.dev/agent": "stolen"}, "nodeSelector": {"disk": "ssd"},
                "tolerations": TOLERATIONS, "spread": "DoNotSchedule"}}),
    ("a service account that is there", {"existingServiceAccount": "theirs", "level": "Cluster"}, {"replicas": 3},
     {"access": {"existingServiceAccount": "theirs", "level": "Cluster"}, "agent": {"replicas": 3}}),
]


def merged(base, more):
    out = copy.deepcopy(base)
    for key, value in more.items():
        out[key] = merged(out[key], value) if isinstance(value, dict) and isinstance(out.get(key), dict) else value
    return out


class Charts:
    def __init__(self, build):
        self.bin = build / "bin"
        self.helm = next((path for path in (CACHE / "bin/helm", shutil.which("helm")) if path and os.access(path, os.X_OK)), None)
        self.passed = self.failed = 0

    def check(self, what, problem):
        """`problem`: why not, or nothing."""
        self.passed, self.failed = self.passed + (not problem), self.failed + bool(problem)
        if problem:
            print(f"charts: {what}: {problem}")

    def run_helm(self, *arguments, values=None):
        return subprocess.run([self.helm, *map(str, arguments), "--values", "-"], input=json.dumps(values or {}),
                              capture_output=True, text=True, check=False)

    def template(self, chart, values=None):
        return self.run_helm("template", "golden", CHARTS / chart, "--namespace", NAMESPACE if chart == "fairlead-agent" else "fairlead",
                             "--kube-version", FLOOR, values=values)

    def objects(self, chart, values=None):
        done = self.template(chart, values)
        if done.returncode:
            raise AssertionError(done.stderr.strip())
        return [one for one in yaml.safe_load_all(done.stdout) if one]


def lint(charts):
    for chart in sorted(path.name for path in CHARTS.iterdir()):
        for values in ({}, MINIMUM) if chart == "fairlead-agent" else ({},):
            done = charts.run_helm("lint", "--strict", CHARTS / chart, values=values)
            charts.check(f"helm lint --strict {chart}", done.returncode and done.stdout + done.stderr)


def unrestricted(objects):
    """What the restricted Pod Security Standard would refuse."""
    problems = []
    for one in objects:
        pod = one.get("spec", {}).get("template", {}).get("spec")
        if not pod:
            continue
        security = pod.get("securityContext", {})
        good = security.get("runAsNonRoot") is True and security.get("seccompProfile", {}).get("type") == "RuntimeDefault"
        for container in pod["containers"] + pod.get("initContainers", []):
            own = container.get("securityContext", {})
            good = good and own.get("allowPrivilegeEscalation") is False and own.get("capabilities", {}).get("drop") == ["ALL"]
            good = good and own.get("readOnlyRootFilesystem") is True and "limits" in container.get("resources", {})
        good = good and not any(pod.get(key) for key in ("hostNetwork", "hostPID", "hostIPC"))
        good = good and not any("hostPath" in volume for volume in pod.get("volumes", []))
        if not good:
            problems.append(f"{one['kind']} {one['metadata']['name']}")
    return problems


def renders(charts):
    for chart, values, pods in (("fairlead", {}, 2), ("fairlead-crds", {}, 0), ("fairlead-agent", MINIMUM, 1)):
        objects = charts.objects(chart, values)
        found = sum("template" in one.get("spec", {}) for one in objects)
        charts.check(f"{chart} renders", found != pods and f"{found} workloads, not {pods}")
        charts.check(f"{chart}: restricted pods", ", ".join(unrestricted(objects)))
        names = [(one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]) for one in objects]
        charts.check(f"{chart}: nothing twice", len(set(names)) != len(names) and names)
        if chart == "fairlead-crds":
            continue
        done = charts.template(chart, merged(values, {"unknownKey": 1}))
        charts.check(f"{chart} refuses an unknown value", (done.returncode == 0 or "unknownKey" not in done.stderr) and (done.stderr or "it does not"))


def excess(role, profiles):
    """What a role may not hold. Profiles, which agents get, may be for every resource; nobody has every verb, nor what would
    give itself more rights: escalate, impersonate, or bind but for the profiles by name."""
    problems = []
    named = role["kind"] == "ClusterRole" and role["metadata"]["name"] in profiles
    for rule in role.get("rules") or []:
        verbs = set(rule["verbs"])
        bound = set(rule.get("resourceNames", []))
        bad = verbs & {"*", "escalate", "impersonate"}
        bad |= set() if named else {"*"} & set(rule.get("apiGroups", []) + rule.get("resources", []) + rule.get("nonResourceURLs", []))
        bad |= {"bind"} & verbs if not bound or bound - profiles else set()
        problems += [f"{role['kind']} {role['metadata']['name']}: {sorted(bad)} in {json.dumps(rule)}"] if bad else []
    return problems


def rights(charts):
    for chart, values in (("fairlead", {"watchNamespaces": ["a", "b"], "agentNamespaces": ["c", "d"]}), ("fairlead-agent", MINIMUM)):
        roles = [one for one in charts.objects(chart, values) if one["kind"] in ("Role", "ClusterRole")]
        profiles = {one["metadata"]["name"] for one in roles if one["metadata"]["name"].startswith("fairlead:agent:")}
        charts.check(f"{chart} has roles and profiles", (not profiles or len(roles) == len(profiles)) and [one["metadata"]["name"] for one in roles])
        for role in roles:
            charts.check(f"{chart}: rights", "; ".join(excess(role, profiles)))


def crds(charts):
    ours = {path.name.split("_", 1)[1]: path.read_bytes() for path in (ROOT / "crds").glob("*.yaml")}
    theirs = {path.name: path.read_bytes() for path in (CHARTS / "fairlead-crds/templates").iterdir()}
    charts.check("fairlead-crds has crds/, all of it and nothing else", sorted(ours) != sorted(theirs) and sorted(theirs))
    for name in sorted(ours):
        charts.check(f"charts/fairlead-crds/templates/{name}", ours[name] != theirs.get(name) and f"differs from crds/: make it a link to crds/fairlead.dev_{name}")


def needs(charts):
    for key in ("account", "identity", "endpoint.addresses", "endpoint.name", "bootstrapSecret", "access.level"):
        values = copy.deepcopy(MINIMUM)
        outer, _, inner = key.partition(".")
        if inner:
            del values[outer][inner]
        else:
            del values[outer]
        done = charts.template("fairlead-agent", values)
        named = f"{key}: say" in done.stderr or f"{key}: name" in done.stderr
        charts.check(f"fairlead-agent without {key}", (done.returncode == 0 or not named) and f"is not refused by name: {done.stderr}")
    for access, named in (({"level": "Namespaces"}, "access.namespaces"), ({"profile": "root"}, 'no profile "root"'),
                          ({"namespaces": ["shop"]}, "access.namespaces")):
        done = charts.template("fairlead-agent", merged(MINIMUM, {"access": access}))
        charts.check(f"fairlead-agent with access {access}", (done.returncode == 0 or named not in done.stderr) and (done.stderr or "is accepted"))


def rights_only(charts):
    objects = charts.objects("fairlead-agent", {"agent": {"enabled": False}})
    profiles = yaml.safe_load((CHARTS / "fairlead-agent/values.yaml").read_text(encoding="utf-8"))["profiles"]
    got = sorted((one["kind"], one["metadata"]["name"]) for one in objects)
    charts.check("agent.enabled=false is the profiles' ClusterRoles", got != sorted(("ClusterRole", f"fairlead:agent:{name}") for name in profiles) and got)
    operators = yaml.safe_load((CHARTS / "fairlead/values.yaml").read_text(encoding="utf-8"))["profiles"]
    charts.check("both charts have the same profiles", operators != profiles and f"{operators} and {profiles}")
    bound = [one for one in charts.objects("fairlead") if one["kind"] == "ClusterRole" and one["metadata"]["name"].startswith("fairlead:agent:")]
    charts.check("chart fairlead makes the same ClusterRoles", [one["rules"] for one in bound] != [one["rules"] for one in objects] and bound)
    none = charts.objects("fairlead-agent", merged(MINIMUM, {"createProfiles": False}))
    charts.check("createProfiles=false", any(one["kind"] == "ClusterRole" for one in none) and "there are ClusterRoles")


def configurations(charts):
    """The programs read what the charts give them."""
    token = {"name": "me", "role": "admin", "sha256": "0" * 64}
    objects = charts.objects("fairlead", {"endpoint": {"tokens": [token]}}) + charts.objects(
        "fairlead-agent", merged(MINIMUM, {"agent": {"logLevel": "debug"}}))
    for program, file, arguments in (("fairlead-endpoint", "endpoint.yaml", ["check", "--config"]),
                                     ("fairlead-operator", "operator.yaml", ["--check"]),
                                     ("fairlead-agent", "agent.yaml", ["--check"])):
        text = next(one["data"][file] for one in objects if one["kind"] == "ConfigMap" and file in one["data"])
        with tempfile.NamedTemporaryFile("w", suffix=f"-{file}") as config:
            config.write(text)
            config.flush()
            done = subprocess.run([charts.bin / program, *arguments, config.name], capture_output=True, text=True, check=False)
        charts.check(f"{program} reads {file}", done.returncode and done.stdout + done.stderr)


def database(charts):
    """With a server's URL the endpoint's database is there and no volume is claimed."""
    objects = charts.objects("fairlead", {"endpoint": {"database": {
        "url": "postgresql://fairlead@db/fairlead", "passwordSecret": {"name": "db"}}}})
    kinds = [one["kind"] for one in objects]
    charts.check("no claim beside a server's database", "PersistentVolumeClaim" in kinds and "there is one")
    text = next(one["data"]["endpoint.yaml"] for one in objects if one["kind"] == "ConfigMap" and "endpoint.yaml" in one["data"])
    config = yaml.safe_load(text)
    charts.check("the endpoint is told of it", config.get("database") != {
        "url": "postgresql://fairlead@db/fairlead", "passwordFile": "/etc/fairlead/database/password"} and text)
    pod = next(one for one in objects if one["kind"] == "Deployment" and one["metadata"]["name"] == "fairlead-endpoint")["spec"]["template"]["spec"]
    mounted = {mount["name"] for mount in pod["containers"][0]["volumeMounts"]}
    charts.check("its volumes are those that are mounted", mounted != {volume["name"] for volume in pod["volumes"]} and str(mounted))


def replicas(charts):
    """More than one endpoint needs a database that they can share; an update of them leaves no moment without one."""
    done = charts.template("fairlead", {"endpoint": {"replicas": 2}})
    charts.check("two endpoints on SQLite", (done.returncode == 0 or "endpoint.database.url" not in done.stderr) and f"is not refused by name: {done.stderr}")
    objects = charts.objects("fairlead", {"endpoint": {"replicas": 2, "database": {"url": "mariadb://fairlead@db/fairlead"}}})
    spec = next(one for one in objects if one["kind"] == "Deployment" and one["metadata"]["name"] == "fairlead-endpoint")["spec"]
    charts.check("two endpoints", (spec["replicas"], spec["strategy"]["type"]) != (2, "RollingUpdate") and str(spec["strategy"]))


def plain(one):
    """Without what the two cannot have in common; the revision is compared by itself."""
    one = copy.deepcopy(one)
    meta = one["metadata"]
    annotations = {key: "-" if key == REVISION else value for key, value in meta.pop("annotations", {}).items()
                   if key not in ("fairlead.dev/owner", "fairlead.dev/intent")}
    if annotations:
        meta["annotations"] = annotations
    template = one.get("spec", {}).get("template", {}).get("metadata", {})
    for labels in (meta.get("labels", {}), template.get("labels", {})):
        if labels.pop("app.kubernetes.io/managed-by", "") not in ("fairlead-operator", "Helm"):
            labels["app.kubernetes.io/managed-by"] = "nobody"
    if template:
        template["annotations"][REVISION] = "-"
    if one["kind"] == "ConfigMap":
        config = json.loads(one["data"]["agent.yaml"])
        config["revision"] = "-"
        one["data"] = {"agent.yaml": config}
    return one


def keyed(objects):
    return {f"{one['kind']} {one['metadata'].get('namespace', '')}/{one['metadata']['name']}": plain(one) for one in objects}


def difference(theirs, ours, path):
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in sorted(theirs.keys() | ours.keys()):
            if theirs.get(key) != ours.get(key):
                return difference(theirs.get(key), ours.get(key), f"{path}.{key}")
    return f"{path}: the operator has {json.dumps(theirs)}, the chart {json.dumps(ours)}"


def revision(objects):
    deployment = next(one for one in objects if one["kind"] == "Deployment")
    config = json.loads(next(one for one in objects if one["kind"] == "ConfigMap")["data"]["agent.yaml"])
    found = {deployment["metadata"]["annotations"][REVISION], config["revision"],
             deployment["spec"]["template"]["metadata"]["annotations"][REVISION]}
    return found.pop() if len(found) == 1 else f"differs: {found}"


def golden(charts):
    values = yaml.safe_load((CHARTS / "fairlead-agent/values.yaml").read_text(encoding="utf-8"))
    version = yaml.safe_load((CHARTS / "fairlead-agent/Chart.yaml").read_text(encoding="utf-8"))["appVersion"]
    for name, access, deployment, more in GOLDEN:
        asked = {
            "account": {"metadata": {"name": "prod", "uid": "ca-1"}, "spec": {
                "accountName": MINIMUM["account"], "connection": {"inCluster": {}}, "access": access, "permissions": {"mode": "Unrestricted"}}},
            "deployment": {"metadata": {"name": "agents", "uid": "ad-1"}, "spec": {
                "mode": "Agent", "accounts": {"refs": [{"name": "prod"}]}, "targetNamespace": NAMESPACE, **deployment}},
            "identity": MINIMUM["identity"], "endpoints": MINIMUM["endpoint"]["addresses"], "endpointName": MINIMUM["endpoint"]["name"],
            "image": {**values["agent"]["image"], "tag": version}, "profiles": values["profiles"]}
        done = subprocess.run([charts.bin / "render-agent"], input=json.dumps(asked), capture_output=True, text=True, check=False)
        if done.returncode:
            charts.check(f"golden, {name}", done.stderr)
            continue
        theirs = json.loads(done.stdout)
        ours = charts.objects("fairlead-agent", merged(merged(MINIMUM, more), {"id": theirs["id"], "bootstrapSecret": theirs["bootstrapSecret"]}))
        a, b = keyed(theirs["objects"] + theirs["clusterRoles"]), keyed(ours)
        charts.check(f"golden, {name}: the same objects", a.keys() != b.keys() and
                     f"only the operator: {sorted(a.keys() - b.keys())}, only the chart: {sorted(b.keys() - a.keys())}")
        for key in sorted(a.keys() & b.keys()):
            charts.check(f"golden, {name}: {key}", a[key] != b[key] and difference(a[key], b[key], ""))
        said = revision(ours)
        charts.check(f"golden, {name}: revision", not re.fullmatch("[0-9a-f]{10}", said) and said)


def revisions(charts):
    def of(more):
        return revision(charts.objects("fairlead-agent", merged(MINIMUM, more)))
    first = of({})
    for more in ({"agent": {"replicas": 3}}, {"access": {"profile": "deploy"}}):
        charts.check(f"{more} restarts nothing", of(more) != first and "the revision changes")
    for more in ({"agent": {"image": {"tag": "2"}}}, {"account": "other"}, {"agent": {"podLabels": {"a": "b"}}}):
        charts.check(f"{more} restarts pods", of(more) == first and "the revision stays")


def main():
    charts = Charts(pathlib.Path(sys.argv[1]))
    if charts.helm is None:
        print(f"charts: SKIPPED: no helm in {CACHE}/bin nor in PATH; next step: make cluster")
        print("0 passed, 0 failed, 1 skipped")
        return 0
    for part in (crds, lint, renders, rights, needs, rights_only, configurations, database, replicas, golden, revisions):
        try:
            part(charts)
        except AssertionError as problem:
            charts.check(part.__name__, str(problem))
    print(f"{charts.passed} passed, {charts.failed} failed, 0 skipped")
    return 1 if charts.failed or charts.passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
