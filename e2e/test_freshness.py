"""How fresh rows are and how it is proven, against a real API server: audits, held rows, an agent's death, a definition
that goes."""
import sqlite3

import pytest

from e2e.conftest import SCOPE
from e2e.support import verdict
from e2e.support.api import ApiError
from e2e.support.system import wait_for

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@pytest.fixture(scope="module", name="output")
def output_of_fairleadctl(ctl):
    def run(*arguments):
        code, text, errors = ctl(*arguments)
        assert code == 0, text + errors
        return text
    return run


def watch_of(setup, resource):
    found = [one for one in setup.endpoint.get("/v1/accounts/prod/freshness")["watches"] if one["resource"] == resource]
    return found[0] if found else None


def wait_state(setup, resource, state, seconds=60):
    return wait_for(f"{resource} is {state}", lambda: (
        lambda watch: watch if watch and watch["state"] == state else None)(watch_of(setup, resource)), seconds)


def by_hand(setup, *statements):
    """As a person with a client of the database would."""
    connection = sqlite3.connect(setup.database, timeout=10, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


def make(api, namespace, names):
    for name in names:
        api.call("POST", f"/api/v1/namespaces/{namespace}/configmaps", {"metadata": {"name": name}, "data": {"of": name}})


def test_rows_changed_by_hand_are_found_by_an_audit_and_repaired(setup, api, namespace, output):
    make(api, namespace, [f"c-{i}" for i in range(20)])
    verdict.wait_until_equal(setup.database, "prod", api, at_least=20)
    wait_state(setup, "configmaps", "Verified")
    where = f"namespace = '{namespace}' AND name"
    by_hand(setup, f"DELETE FROM objects WHERE {where} = 'c-1'",
            f"UPDATE objects SET body = (SELECT body FROM objects WHERE {where} = 'c-3') WHERE {where} = 'c-2'",
            f"UPDATE objects SET content_hash = object_key WHERE {where} = 'c-4'",
            f"UPDATE objects SET resource_version = '99999999999' WHERE {where} = 'c-5'")
    assert verdict.differences(setup.database, "prod", api)[0]
    output("audit", "prod", "configmap")
    verdict.wait_until_equal(setup.database, "prod", api)
    before = watch_of(setup, "configmaps")
    if before["state"] != "Verified":
        assert before["state"] == "InSync" and before["verifiedAgeMs"] == -1
    wait_state(setup, "configmaps", "Verified")
    assert setup.endpoint.metric("fairlead_audit_rows_damaged_total") == 2  # neither c-2 nor c-4 has the hash it says
    api.call("PATCH", f"/api/v1/namespaces/{namespace}/configmaps/c-5", {"data": {"of": "later"}}, "application/merge-patch+json")
    verdict.wait_until_equal(setup.database, "prod", api)


def test_an_audit_needs_a_kind_that_is_there_and_an_agent(setup):
    call = setup.endpoint.call
    assert call("POST", "/v1/accounts/prod/audit?kind=nonsense")[0] == 404
    assert call("GET", "/v1/accounts/prod/audit")[0] == 405
    assert call("POST", "/v1/accounts/nobody/audit")[0] == 404
    assert call("POST", "/v1/accounts/prod/audit")[0] == 200


def test_held_rows_are_kept_until_somebody_confirms(setup, api, namespace, output):
    # More than a third of what there is, whatever other tests have left.
    names = [f"h-{i}" for i in range(max(60, watch_of(setup, "configmaps")["count"]))]
    make(api, namespace, names)
    verdict.wait_until_equal(setup.database, "prod", api, at_least=60)
    setup.agents[0].kill()
    for name in names:
        api.call("DELETE", f"/api/v1/namespaces/{namespace}/configmaps/{name}")
    # Too old to watch from: the next agent needs a whole list, and that is all it learns.
    by_hand(setup, "UPDATE positions SET resource_version = '1' WHERE kind = (SELECT id FROM kinds WHERE resource = 'configmaps')")
    setup.agents[0].start()
    watch = wait_state(setup, "configmaps", "Held")
    assert watch["held"] == len(names)
    assert str(len(names)) in output("freshness", "prod")
    make(api, namespace, ["h-7"])
    wait_for("a live write lets go", lambda: watch_of(setup, "configmaps")["held"] == len(names) - 1)
    assert output("accounts", "confirm-deletes", "prod", "--kind", "secret") == "0 rows deleted\n"
    assert output("accounts", "confirm-deletes", "prod", "--kind", "configmap") == f"{len(names) - 1} rows deleted\n"
    make(api, namespace, ["after"])
    verdict.wait_until_equal(setup.database, "prod", api)
    wait_state(setup, "configmaps", "Verified")


def test_an_agents_death_makes_the_rows_stale_with_their_age(setup, output):
    wait_state(setup, "secrets", "Verified")
    setup.agents[0].kill()
    wait_for("the endpoint knows", lambda: not setup.endpoint.account("prod")["status"]["connected"])
    watch = watch_of(setup, "secrets")
    assert watch["state"] in ("Verified", "Stale") and watch["detail"] == "no agent holds the account"
    watch = wait_state(setup, "secrets", "Stale", 150)
    assert watch["ageMs"] > 120_000
    assert setup.endpoint.get("/v1/accounts/prod/freshness")["state"] == "Stale"
    assert "Stale" in output("freshness", "prod")
    setup.agents[0].start()
    wait_for("it is in sync again", lambda: setup.endpoint.account("prod")["status"]["synced"])
    assert watch_of(setup, "secrets")["state"] != "Stale"
    wait_state(setup, "secrets", "Verified", 150)


def test_a_kind_whose_definition_is_deleted_while_nobody_watches_loses_its_rows(setup, api, namespace):
    api.call("POST", CRDS, {
        "metadata": {"name": "gadgets.example.org"},
        "spec": {"group": "example.org", "scope": "Namespaced",
                 "names": {"kind": "Gadget", "plural": "gadgets", "singular": "gadget"},
                 "versions": [{"name": "v1", "served": True, "storage": True, "schema": {
                     "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}]}})
    scope = dict(SCOPE, customResources=[*SCOPE["customResources"], {"kubernetesKind": "Gadget.example.org"}])
    setup.endpoint.put_account("prod", "agent-1", scope)

    def made():
        try:
            return api.call("POST", f"/apis/example.org/v1/namespaces/{namespace}/gadgets", {
                "apiVersion": "example.org/v1", "kind": "Gadget", "metadata": {"name": "one"}})
        except ApiError:
            return None
    wait_for("the kind is served", made)
    wait_for("its row is there", lambda: (watch_of(setup, "gadgets") or {}).get("count") == 1, 90)
    setup.agents[0].kill()
    api.call("DELETE", f"{CRDS}/gadgets.example.org")

    def gone():
        try:
            api.call("GET", "/apis/example.org/v1/gadgets")
            return False
        except ApiError:
            return True
    wait_for("the kind is gone", gone)
    assert watch_of(setup, "gadgets")["count"] == 1
    setup.agents[0].start()
    wait_for("its rows are gone", lambda: watch_of(setup, "gadgets") is None, 90)
    verdict.wait_until_equal(setup.database, "prod", api)
