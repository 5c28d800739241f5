"""The two CRDs on a real API server: what their rules refuse, what they take, and how they read."""
import copy

import pytest

from e2e.support.api import ApiError
from e2e.support.system import ROOT, wait_for

GROUP = "/apis/fairlead.dev/v1alpha1/namespaces/fairlead"
ACCOUNT = {"connection": {"inCluster": {}}, "access": {"profile": "read", "level": "Cluster"}, "permissions": {"mode": "Unrestricted"}}
DEPLOYMENT = {"mode": "Agent", "accounts": {"refs": [{"name": "a"}]}}
NAMESPACED = {"profile": "read", "level": "Namespaces", "namespaces": ["shop"]}
ISSUER = {"subject": "system:serviceaccount:a:b"}


@pytest.fixture(scope="module", name="crds")
def installed(api):
    """The CRDs as the server has them, by kind."""
    made = {}
    for path in sorted((ROOT / "crds").glob("*.yaml")):
        crd = api.call("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", path.read_bytes(), "application/yaml")
        made[crd["spec"]["names"]["kind"]] = crd
    try:
        api.call("POST", "/api/v1/namespaces", {"metadata": {"name": "fairlead"}})

        def served():
            try:
                return [api.call("GET", f"{GROUP}/{crd['spec']['names']['plural']}") for crd in made.values()]
            except ApiError:
                return None
        wait_for("the CRDs are served", served)
        yield made
    finally:
        for crd in made.values():
            api.call("DELETE", f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{crd['metadata']['name']}")


def resource(kind, spec, name="x"):
    return {"apiVersion": "fairlead.dev/v1alpha1", "kind": kind, "metadata": {"name": name, "namespace": "fairlead"}, "spec": spec}


def path_of(kind):
    return f"{GROUP}/{kind.lower()}s"


def merged(base, changes):
    """`base` with dotted paths set; None removes."""
    out = copy.deepcopy(base)
    for path, value in changes.items():
        at, parts = out, path.split(".")
        for part in parts[:-1]:
            at = at.setdefault(part, {})
        if value is None:
            at.pop(parts[-1], None)
        else:
            at[parts[-1]] = value
    return out


def refusal(api, method, path, body):
    with pytest.raises(ApiError) as error:
        api.call(method, path + "?dryRun=All&fieldValidation=Strict", body)
    assert error.value.status == 422, error.value.body
    return error.value.body


# kind, changes of the good spec, what the refusal says. One line or more for every rule.
CREATES = [
    ("ClusterAccount", {"connection": {"inCluster": {}, "dialIn": {"token": {}}}}, "exactly one of `inCluster`, `kubeconfig` and `dialIn`"),
    ("ClusterAccount", {"connection": {"dialIn": {"token": {}, "issuer": {"url": "https://a", **ISSUER}}}}, "exactly one of `issuer` and `token`"),
    ("ClusterAccount", {"connection": {"dialIn": {"issuer": ISSUER}}}, "exactly one of `url` and `jwks`"),
    ("ClusterAccount", {"access": {"level": "Cluster"}}, "exactly one of `profile` and `existingServiceAccount`"),
    ("ClusterAccount", {"access": {"level": "Cluster", "profile": "a", "existingServiceAccount": "b"}}, "exactly one of `profile` and"),
    ("ClusterAccount", {"access": {"level": "Namespaces", "profile": "a"}}, "an empty list never means everything"),
    ("ClusterAccount", {"access": {**NAMESPACED, "namespaces": []}}, "an empty list never means everything"),
    ("ClusterAccount", {"access": {**NAMESPACED, "level": "Cluster"}}, "`namespaces` must not be set when `level` is 'Cluster'"),
    ("ClusterAccount", {"access": {**NAMESPACED, "assume": [{"serviceAccount": "a", "namespaces": ["other"]}]}}, "must be among `namespaces`"),
    ("ClusterAccount", {"access": {"level": "Cluster", "existingServiceAccount": "a", "assume": [{"serviceAccount": "a", "namespaces": ["b"]}]}},
     "`assume` must not be set with `existingServiceAccount`"),
    ("ClusterAccount", {"access": {"level": "Cluster", "profile": "a", "assume": [{"serviceAccount": "a", "namespaces": ["kube-system"]}]}},
     "its service accounts are never assumed"),
    ("ClusterAccount", {"scope": {"namespaces": ["a"], "omitNamespaces": ["a"]}}, "must not repeat an item of `namespaces`"),
    ("ClusterAccount", {"permissions": {"mode": "Unrestricted", "read": ["a"]}}, "must not be set when `mode` is 'Unrestricted'"),
    ("ClusterAccount", {"permissions": {"mode": "Restricted"}}, "must name a group when `mode` is 'Restricted'"),
    ("AgentDeployment", {"mode": "Infrastructure"}, "`hostRef` must be set when `mode` is 'Infrastructure'"),
    ("AgentDeployment", {"hostRef": {"name": "a"}}, "`hostRef` must not be set unless `mode` is 'Infrastructure'"),
    ("AgentDeployment", {"accounts.selector": {"matchLabels": {"a": "b"}}}, "exactly one of `refs` and `selector`"),
    ("AgentDeployment", {"accounts": {"selector": {"matchLabels": {}}}}, "`matchLabels` or `matchExpressions` must not be empty"),
    ("AgentDeployment", {"accounts": {"selector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}}, "`values` must be set with operators"),
    ("AgentDeployment", {"accounts": {"selector": {"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]}}},
     "`values` must be set with operators"),
    ("AgentDeployment", {"targetNamespace": "kube-system"}, "must not be a 'kube-*' namespace"),
    ("AgentDeployment", {"podLabels": {"-a": "b"}}, "`podLabels` must have label keys"),
    ("AgentDeployment", {"podLabels": {"fairlead.dev/agent": "b"}}, "`podLabels` must not use keys of"),
    ("AgentDeployment", {"podLabels": {"app.kubernetes.io/name": "b"}}, "`podLabels` must not use keys of"),
    ("AgentDeployment", {"rollout": {"type": "Waves"}}, "`waves` must be set when `type` is 'Waves'"),
    ("AgentDeployment", {"rollout": {"waves": [{"name": "a", "selector": {"matchLabels": {"a": "b"}}}]}}, "`waves` must be set when `type` is 'Waves'"),
    ("AgentDeployment", {"rollout": {"maxConcurrency": 0}}, "`maxConcurrency` must be between 1 and 1000"),
    ("AgentDeployment", {"rollout": {"maxFailures": -1}}, "`maxFailures` must be between 0 and 1000"),
    ("AgentDeployment", {"rollout": {"gates": [{"type": "Approval", "withinSeconds": 5}]}}, "must only be set when `type` is 'Synced'"),
]
# kind, changes before, changes after, what the refusal says.
UPDATES = [
    ("ClusterAccount", {"accountName": "a"}, {"accountName": "b"}, "`accountName` is immutable"),
    ("ClusterAccount", {"accountName": "a"}, {"accountName": None}, "`accountName` is immutable"),
    ("ClusterAccount", {}, {"accountName": "a"}, "`accountName` is immutable"),
    ("AgentDeployment", {}, {"mode": "Cluster"}, "`mode` is immutable"),
    ("AgentDeployment", {}, {"targetNamespace": "other"}, "`targetNamespace` is immutable"),
    ("AgentDeployment", {"targetNamespace": "other"}, {"targetNamespace": None}, "`targetNamespace` is immutable"),
]
NAME = ("ClusterAccount", "a.b", "`spec.accountName` must be set when `metadata.name`")


@pytest.mark.parametrize("kind, changes, message", CREATES, ids=[f"{case[0]}-{index}" for index, case in enumerate(CREATES)])
def test_a_bad_resource_is_refused_by_its_rule(crds, api, kind, changes, message):
    good = ACCOUNT if kind == "ClusterAccount" else DEPLOYMENT
    assert message in refusal(api, "POST", path_of(kind), resource(kind, merged(good, changes)))


def test_a_name_that_is_no_account_name_needs_one(crds, api):
    kind, name, message = NAME
    assert message in refusal(api, "POST", path_of(kind), resource(kind, ACCOUNT, name))
    api.call("POST", f"{path_of(kind)}?dryRun=All", resource(kind, {**ACCOUNT, "accountName": "a"}, name))


@pytest.mark.parametrize("kind, before, after, message", UPDATES, ids=[f"{case[0]}-{index}" for index, case in enumerate(UPDATES)])
def test_what_is_immutable_is_neither_set_changed_nor_removed(crds, api, kind, before, after, message):
    good = merged(ACCOUNT if kind == "ClusterAccount" else DEPLOYMENT, before)
    made = api.call("POST", path_of(kind), resource(kind, good))
    path = f"{path_of(kind)}/x"
    try:
        changed = {**made, "spec": merged(good, after)}
        assert message in refusal(api, "PUT", path, changed)
        api.call("PUT", f"{path}?dryRun=All", {**made, "spec": merged(made["spec"], {"paused": True})})
    finally:
        api.call("DELETE", path)


def rules(schema):
    for rule in schema.get("x-kubernetes-validations", []):
        yield rule["message"]
    for below in [*schema.get("properties", {}).values(), schema.get("items"), schema.get("additionalProperties")]:
        if isinstance(below, dict):
            yield from rules(below)


def schema_of(crd):
    return crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def test_every_rule_has_a_case_that_it_refuses(crds):
    cases = [case[-1] for case in CREATES + UPDATES] + [NAME[-1]]
    for kind, crd in crds.items():
        for message in rules(schema_of(crd)):
            assert any(case in message for case in cases), f"{kind}: no case for: {message}"


@pytest.mark.parametrize("path", sorted((ROOT / "crds/samples").glob("*.yaml")), ids=lambda path: path.stem)
def test_samples_are_taken_as_they_are(crds, api, path):
    text = path.read_bytes()
    kind = "ClusterAccount" if b"kind: ClusterAccount" in text else "AgentDeployment"
    api.call("POST", f"{path_of(kind)}?dryRun=All&fieldValidation=Strict", text, "application/yaml")


def test_a_resource_that_nobody_looked_at_says_so(crds, api):
    for kind, spec in (("ClusterAccount", ACCOUNT), ("AgentDeployment", DEPLOYMENT)):
        made = api.call("POST", f"{path_of(kind)}?dryRun=All", resource(kind, spec))
        assert made["status"] == {"observedGeneration": -1}


def fields(schema, path=""):
    """(path, schema, required) of every field below."""
    for name, below in schema.get("properties", {}).items():
        here = f"{path}.{name}"
        yield here, below, name in schema.get("required", [])
        yield from fields(below, here)
        for inner in (below.get("items"), below.get("additionalProperties")):
            if isinstance(inner, dict):
                yield f"{here}[]", inner, True
                yield from fields(inner, f"{here}[]")


def test_explain_reads_as_documentation(crds):
    for kind, crd in crds.items():
        for path, field, required in fields(schema_of(crd)):
            name = path.rsplit(".", 1)[-1]
            if path == ".metadata" or name.endswith("[]"):
                continue
            text = field.get("description", "")
            assert text.startswith((f"{name} ", f"{name}'s")), f"{kind}{path}: its description must begin with {name!r}: {text!r}"
            if not path.startswith(".spec"):
                continue
            default = field.get("default")
            if default is not None and default != {}:
                shown = str(default).lower() if isinstance(default, bool) else str(default)
                assert f"Default: `{shown}`" in text or f"Default: {shown}" in text, f"{kind}{path}: says no default"
            if required:
                assert "Required" in text, f"{kind}{path}: does not say that it is required"
            if name.endswith("Seconds"):
                assert "second" in text or "as above" in text, f"{kind}{path}: says no unit"


def test_everything_is_bounded_and_every_list_says_what_it_is(crds):
    for kind, crd in crds.items():
        for path, field, _ in fields(schema_of(crd)):
            if path in (".apiVersion", ".kind", ".metadata"):
                continue
            at = kind + path
            assert "x-kubernetes-preserve-unknown-fields" not in field, at
            if field.get("x-kubernetes-int-or-string"):
                assert "pattern" in field and "maxLength" in field, at
            elif field["type"] == "string":
                assert "enum" in field or "maxLength" in field or field.get("format") == "date-time", f"{at}: no maxLength"
            elif field["type"] == "array":
                assert "maxItems" in field and "x-kubernetes-list-type" in field, f"{at}: no bound or no list type"
            elif field["type"] == "object" and "additionalProperties" in field:
                assert "maxProperties" in field, f"{at}: no maxProperties"
            elif field["type"] == "integer":
                assert "minimum" in field, f"{at}: no minimum"
                assert "maximum" in field or path.startswith(".status"), f"{at}: no maximum"
            assert field.get("type") != "number", f"{at}: no floats"


def test_names_and_columns_are_what_people_type_and_see(crds):
    for kind, short in (("ClusterAccount", "fca"), ("AgentDeployment", "fad")):
        names = crds[kind]["spec"]["names"]
        assert (names["shortNames"], names["categories"]) == ([short], ["fairlead"])
        columns = [column["name"] for column in crds[kind]["spec"]["versions"][0]["additionalPrinterColumns"]]
        assert {"Ready", "Reason", "Age", "Message"} <= set(columns)


def apply_status(api, manager, status, **metadata):
    body = {"apiVersion": "fairlead.dev/v1alpha1", "kind": "ClusterAccount",
            "metadata": {"name": "x", "namespace": "fairlead", **metadata}, "status": status}
    return api.call("PATCH", f"{path_of('ClusterAccount')}/x/status?fieldManager={manager}&force=true", body, "application/apply-patch+yaml")


def test_two_managers_share_a_status_and_an_old_view_is_refused(crds, api):
    """What the operator's two writers of one status rely on."""
    made = api.call("POST", path_of("ClusterAccount"), resource("ClusterAccount", ACCOUNT))
    try:
        ready = {"type": "Ready", "status": "True", "reason": "A", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}
        apply_status(api, "fairlead-account", {"conditions": [ready], "accountName": "x"})
        apply_status(api, "fairlead-rollout", {"agent": {"uid": "u", "state": "Pending"}})
        both = apply_status(api, "fairlead-other", {"conditions": [{**ready, "type": "Other"}]})
        assert [one["type"] for one in both["status"]["conditions"]] == ["Ready", "Other"]
        assert both["status"]["agent"]["uid"] == "u"
        released = apply_status(api, "fairlead-rollout", {})
        assert "agent" not in released["status"] and released["status"]["accountName"] == "x"
        # The version is what guards a status, also against a namesake's: the server does not look at the uid there.
        with pytest.raises(ApiError) as error:
            apply_status(api, "fairlead-rollout", {"agent": {"uid": "v", "state": "Pending"}},
                         resourceVersion=made["metadata"]["resourceVersion"])
        assert error.value.status == 409, error.value.body
    finally:
        api.call("DELETE", f"{path_of('ClusterAccount')}/x")
