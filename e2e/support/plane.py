"""What the tests' API server has beyond its own: a custom resource, and read rights for the agent's user."""
from e2e.support.api import ApiError
from e2e.support.system import wait_for

ROLE = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
BINDING = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
SCOPE = {"kinds": ["pod", "deployment", "configMap", "secret", "namespace"],
         "customResources": [{"kubernetesKind": "Widget.example.com"}]}


def prepare(api):
    """Once for each new server."""
    api.call("POST", ROLE, {"metadata": {"name": "agent"}, "rules": [
        {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]}]})
    api.call("POST", BINDING, {"metadata": {"name": "agent"}, "subjects": [{"kind": "User", "name": "fairlead-agent"}],
                               "roleRef": {"kind": "ClusterRole", "name": "agent"}})
    api.call("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {
        "metadata": {"name": "widgets.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced",
                 "names": {"kind": "Widget", "plural": "widgets", "singular": "widget"},
                 "versions": [{"name": "v1", "served": True, "storage": True, "schema": {
                     "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}]}})

    def served():
        try:
            api.call("GET", "/apis/example.com/v1/widgets")
            return True
        except ApiError:
            return False
    wait_for("the custom resource is served", served)
