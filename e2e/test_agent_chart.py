"""Chart fairlead-agent: a real API server takes what it renders, and the rights are those of the profile."""
import json
import subprocess

import pytest

from e2e.support.scope import served_kinds
from e2e.support.system import ENV, ROOT, wait_for


@pytest.fixture(name="install")
def install_into_a_namespace(plane, namespace):
    releases = []

    def run(release, *settings):
        releases.append(release)
        return helm("upgrade", "--install", release, ROOT / "charts/fairlead-agent", *(f"--set={one}" for one in settings))

    def helm(*command):
        return subprocess.run(["helm", "--kubeconfig", plane.kubeconfig, "-n", namespace, *command], env=ENV, capture_output=True,
                              text=True, check=False)
    yield run
    for release in releases:
        helm("uninstall", release, "--ignore-not-found")


LEAST = ("id=e2e", "account=prod", "identity=agent-1", "endpoint.addresses={127.0.0.1:9443}", "endpoint.name=e", "bootstrapSecret=first")


def allowed(api, namespace, verb, resource, where):
    review = {"spec": {"user": f"system:serviceaccount:{namespace}:fairlead-agent-e2e",
                       "resourceAttributes": {"verb": verb, "resource": resource, **where}}}
    return api.call("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)["status"]["allowed"]


def made(api, namespace):
    """(resource, namespace, name) of everything of any kind that is in the namespace, or that Helm made for a release there."""
    return {(kind.resource, meta.get("namespace", ""), meta["name"])
            for kind in served_kinds(api) for meta in (item["metadata"] for item in api.list_all(kind.path))
            if namespace in (meta.get("namespace"), meta.get("annotations", {}).get("meta.helm.sh/release-namespace"))}


def test_an_agent_for_one_namespace_may_do_there_what_its_profile_says(api, install, namespace):
    done = install("one", *LEAST, "access.level=Namespaces", f"access.namespaces={{{namespace}}}")
    assert done.returncode == 0, done.stderr
    here, there = {"namespace": namespace}, {"namespace": "default"}
    # The server judges by a cache of its own: each binding is waited for, and only then is what it must not give of any worth.
    for right in (("watch", "pods", here), ("get", "namespaces", {"name": "kube-system"}),
                  ("patch", "secrets", {**here, "name": "fairlead-agent-e2e-identity"})):
        wait_for(f"{right} is allowed", lambda right=right: allowed(api, namespace, *right))
    for right in (("watch", "pods", there), ("delete", "pods", here), ("list", "namespaces", {}),
                  ("patch", "secrets", {**here, "name": "first"})):
        assert not allowed(api, namespace, *right), right


def test_an_upgrade_keeps_the_certificate_the_agent_stored(api, install, namespace):
    assert install("one", *LEAST, "access.level=Cluster").returncode == 0
    secret = f"/api/v1/namespaces/{namespace}/secrets/fairlead-agent-e2e-identity"
    api.call("PATCH", secret, {"data": {"tls.crt": "Yw=="}}, content_type="application/merge-patch+json")
    deployment = f"/apis/apps/v1/namespaces/{namespace}/deployments/fairlead-agent-e2e"
    before = api.call("GET", deployment)["metadata"]["annotations"]["fairlead.dev/revision"]
    done = install("one", *LEAST, "access.level=Cluster", "agent.image.tag=other", "agent.replicas=3")
    assert done.returncode == 0, done.stderr
    assert api.call("GET", secret)["data"] == {"tls.crt": "Yw=="}
    after = api.call("GET", deployment)
    assert after["metadata"]["annotations"]["fairlead.dev/revision"] != before
    assert json.loads(api.call("GET", f"/api/v1/namespaces/{namespace}/configmaps/fairlead-agent-e2e")["data"]["agent.yaml"])["revision"] \
        == after["spec"]["template"]["metadata"]["annotations"]["fairlead.dev/revision"]


def test_what_is_missing_installs_nothing(api, install, namespace):
    before = made(api, namespace)
    done = install("none", *LEAST)
    assert done.returncode != 0 and "access.level: say Cluster" in done.stderr
    assert made(api, namespace) == before


def test_rights_only_installs_the_profiles_and_nothing_else(api, install, namespace):
    before = made(api, namespace)
    done = install("rights", "agent.enabled=false")
    assert done.returncode == 0, done.stderr
    assert made(api, namespace) - before == {("clusterroles", "", "fairlead:agent:base"), ("clusterroles", "", "fairlead:agent:read"),
                                             ("clusterroles", "", "fairlead:agent:deploy"),
                                             ("secrets", namespace, "sh.helm.release.v1.rights.v1")}  # Helm's own record
    assert api.call("GET", "/apis/rbac.authorization.k8s.io/v1/clusterroles/fairlead:agent:read")["rules"][0]["verbs"] == ["get", "list", "watch"]
