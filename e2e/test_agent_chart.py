"""Chart fairlead-agent: a real API server takes what it renders, and the rights are those of the profile."""
import json
import os
import pathlib
import subprocess

import pytest

from e2e.support.system import ROOT

CACHE = pathlib.Path(os.environ.get("FAIRLEAD_CACHE", pathlib.Path.home() / ".cache/fairlead"))


@pytest.fixture(name="install")
def install_into_a_namespace(plane, namespace):
    releases = []

    def run(release, *settings):
        releases.append(release)
        return subprocess.run([CACHE / "bin/helm", "--kubeconfig", plane.kubeconfig, "upgrade", "--install", release,
                               ROOT / "charts/fairlead-agent", "-n", namespace, *(f"--set={one}" for one in settings)],
                              capture_output=True, text=True, check=False)
    yield run
    for release in releases:
        subprocess.run([CACHE / "bin/helm", "--kubeconfig", plane.kubeconfig, "uninstall", release, "-n", namespace, "--ignore-not-found"],
                       capture_output=True, check=False)


LEAST = ("id=e2e", "account=prod", "identity=agent-1", "endpoint.addresses={127.0.0.1:9443}", "endpoint.name=e", "bootstrapSecret=first")


def allowed(api, namespace, verb, resource, where):
    review = {"spec": {"user": f"system:serviceaccount:{namespace}:fairlead-agent-e2e",
                       "resourceAttributes": {"verb": verb, "resource": resource, **where}}}
    return api.call("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)["status"]["allowed"]


def test_an_agent_for_one_namespace_may_do_there_what_its_profile_says(api, install, namespace):
    done = install("one", *LEAST, "access.level=Namespaces", f"access.namespaces={{{namespace}}}")
    assert done.returncode == 0, done.stderr
    here, there = {"namespace": namespace}, {"namespace": "default"}
    assert allowed(api, namespace, "watch", "pods", here)
    assert not allowed(api, namespace, "watch", "pods", there)
    assert not allowed(api, namespace, "delete", "pods", here)
    assert allowed(api, namespace, "get", "namespaces", {"name": "kube-system"})
    assert not allowed(api, namespace, "list", "namespaces", {})
    assert allowed(api, namespace, "patch", "secrets", {**here, "name": "fairlead-agent-e2e-identity"})
    assert not allowed(api, namespace, "patch", "secrets", {**here, "name": "first"})


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
    done = install("none", *LEAST)
    assert done.returncode != 0 and "access.level: say Cluster" in done.stderr
    assert api.call("GET", f"/apis/apps/v1/namespaces/{namespace}/deployments")["items"] == []


def test_rights_only_installs_the_profiles_and_nothing_else(api, install, namespace):
    done = install("rights", "agent.enabled=false")
    assert done.returncode == 0, done.stderr
    assert api.call("GET", "/apis/rbac.authorization.k8s.io/v1/clusterroles/fairlead:agent:read")["rules"][0]["verbs"] == ["get", "list", "watch"]
    assert api.call("GET", f"/apis/apps/v1/namespaces/{namespace}/deployments")["items"] == []
