"""A real API server's changes are the endpoint's rows, whatever is killed in between."""
import base64
import sqlite3
import time

import pytest

from e2e.support import system, verdict
from e2e.support.storm import Storm
from e2e.support.system import wait_for

LISTS = ("/pods", "/deployments", "/configmaps", "/secrets", "/namespaces", "/widgets")


def row(setup, resource, namespace, name):
    with sqlite3.connect(f"file:{setup.database}?mode=ro", uri=True) as connection:
        return connection.execute("SELECT o.resource_version, o.seq FROM objects o JOIN kinds k ON k.id = o.kind WHERE "
                                  "k.resource = ? AND o.namespace = ? AND o.name = ?", (resource, namespace, name)).fetchone()


def full_lists(requests):
    """Lists that read more than one object: neither limit=1 nor a watch."""
    return [uri for verb, uri in requests if verb == "list" and "limit=1&" not in uri + "&" and
            uri.split("?")[0].endswith(LISTS)]


def test_rows_appear_change_and_vanish(setup, api, namespace):
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    api.call("POST", path, {"metadata": {"name": "one"}, "data": {"a": "1"}})
    first = wait_for("the row", lambda: row(setup, "configmaps", namespace, "one"))
    api.call("PATCH", path + "/one", {"data": {"a": "2"}}, content_type="application/merge-patch+json")
    wait_for("the change", lambda: row(setup, "configmaps", namespace, "one") not in (None, first))
    api.call("DELETE", path + "/one")
    wait_for("the delete", lambda: row(setup, "configmaps", namespace, "one") is None)


def test_storm_then_verdict(setup, api, namespace):
    storm = Storm(api, namespace, writes=2000, rate=400).start().join()
    assert storm.failed == 0
    compared = verdict.wait_until_equal(setup.database, "prod", api, at_least=300)
    print(f"{storm.answered} writes at {storm.rate():.0f}/s, {compared} objects equal")


def test_agent_killed_in_a_storm_resumes_without_a_list(setup, api, plane, namespace):
    storm = Storm(api, namespace, writes=1500, rate=250, seed=2).start()
    storm.wait_until_fast()  # every kill lands while at least 100 writes a second run
    mark = plane.audit_size()
    setup.agents[0].kill()
    setup.agents[0].start()
    storm.join()
    verdict.wait_until_equal(setup.database, "prod", api)
    assert full_lists(plane.audit(since=mark)) == []


def test_endpoint_killed_in_a_storm(setup, api, plane, namespace):
    storm = Storm(api, namespace, writes=1500, rate=250, seed=3).start()
    storm.wait_until_fast()
    mark = plane.audit_size()
    setup.endpoint.kill()
    setup.endpoint.start()
    storm.join()
    verdict.wait_until_equal(setup.database, "prod", api)
    assert full_lists(plane.audit(since=mark)) == []


def test_api_server_restarted_in_a_storm(setup, api, plane, namespace):
    storm = Storm(api, namespace, writes=1500, rate=250, seed=4).start()
    storm.wait_until_fast()
    plane.restart()
    storm.join()
    # Lists are unavoidable here: a new server's watch cache begins at its own first list, so it answers
    # 410 to every older position. Until it has read roles and custom resources it answers 403 and 404.
    verdict.wait_until_equal(setup.database, "prod", api, seconds=75)


def test_standby_takes_over_when_the_primary_is_killed(setup, api, namespace):
    standby = setup.add_agent()
    wait_for("a standby", lambda: setup.endpoint.account("prod")["status"]["standbys"] == 1)
    assert standby.metric("fairlead_agent_accounts_granted") == 0
    holder = setup.endpoint.account("prod")["status"]["instance"]
    setup.agents[0].kill()
    begun = time.monotonic()
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    api.call("POST", path, {"metadata": {"name": "after"}})
    wait_for("the row, by the standby", lambda: row(setup, "configmaps", namespace, "after"))
    print(f"row {time.monotonic() - begun:.2f} s after the primary was killed")
    assert setup.endpoint.account("prod")["status"]["instance"] != holder
    verdict.wait_until_equal(setup.database, "prod", api)
    setup.agents[0].start()
    wait_for("a standby again", lambda: setup.endpoint.account("prod")["status"]["standbys"] == 1)
    setup.agents.remove(standby)
    standby.kill()
    wait_for("the first again", lambda: setup.agents[0].metric("fairlead_agent_accounts_granted") == 1)


def test_restart_in_quiet_lists_nothing_and_writes_no_row(setup, api, plane):
    verdict.wait_until_equal(setup.database, "prod", api)
    time.sleep(1)
    written = setup.endpoint.metric("fairlead_store_rows_written_total")
    deleted = setup.endpoint.metric("fairlead_store_rows_deleted_total")
    mark = plane.audit_size()
    setup.agents[0].kill()
    setup.agents[0].start()
    wait_for("the grant", lambda: setup.agents[0].metric("fairlead_agent_accounts_granted") == 1)
    wait_for("every watch is open", lambda: len([uri for verb, uri in plane.audit(since=mark) if verb == "watch"]) >= 6 or
             setup.agents[0].metric('fairlead_agent_watches{state="Watching"}') == 6)
    time.sleep(2)
    requests = plane.audit(since=mark)
    assert [uri for verb, uri in requests if verb == "list" and "limit=1" in uri], "positions were checked"
    assert full_lists(requests) == []
    assert setup.endpoint.metric("fairlead_store_rows_written_total") == written
    assert setup.endpoint.metric("fairlead_store_rows_deleted_total") == deleted
    verdict.wait_until_equal(setup.database, "prod", api)


def test_secret_values_stay_home(setup, api, namespace):
    canary = "canary-7f3a9c1e-value"
    encoded = base64.b64encode(canary.encode()).decode()
    api.call("POST", f"/api/v1/namespaces/{namespace}/secrets", {
        "metadata": {"name": "s", "annotations": {verdict.LAST_APPLIED: f'{{"data":{{"p":"{encoded}"}}}}'}},
        "stringData": {"p": canary}})
    wait_for("the row", lambda: row(setup, "secrets", namespace, "s"))
    for rows in verdict.stored_rows(verdict.open_database(setup.database), "prod")[0].values():
        for row_of_kind in rows.values():
            assert canary not in str(row_of_kind.body) and encoded not in str(row_of_kind.body)
    places = [setup.endpoint.process.text(), setup.agents[0].process.text(), setup.endpoint.get("/metrics", raw=True),
              setup.endpoint.get("/v1/objects?account=prod&kind=secret&body=true", raw=True)]
    for place in places:
        assert canary not in place and encoded not in place


def test_two_owners_of_one_name(setup):
    spec = {"identities": ["x"], "access": {"level": "Cluster"}}
    status, _ = setup.endpoint.call("PUT", "/v1/accounts/shared", {"owner": "hub/a/one", "ownerUid": "1", "generation": 3, "spec": spec})
    assert status == 200
    status, answer = setup.endpoint.call("PUT", "/v1/accounts/SHARED", {"owner": "hub/b/two", "ownerUid": "2", "spec": spec})
    assert (status, answer["error"]["reason"]) == (409, "NameTaken")
    assert "hub/a/one" in answer["error"]["message"]
    status, answer = setup.endpoint.call("PUT", "/v1/accounts/shared", {"owner": "hub/a/one", "ownerUid": "1", "generation": 2, "spec": spec})
    assert (status, answer["error"]["reason"]) == (409, "Conflict")


@pytest.mark.parametrize("spec, message", [
    ({"identities": ["x"], "acess": {"level": "Cluster"}}, 'acess: unknown key; did you mean "access"?'),
    ({"identities": ["x"], "access": {"level": "Namespaces"}}, "access.namespaces: at least one"),
    ({"identities": [], "access": {"level": "Cluster"}}, "identities: at least one"),
])
def test_a_bad_account_is_refused_with_its_path(setup, spec, message):
    status, answer = setup.endpoint.call("PUT", "/v1/accounts/bad", {"spec": spec})
    assert status == 400
    assert message in answer["error"]["message"]


def test_a_spent_token_enrols_nobody(setup):
    other = system.Agent(setup.directory / "other", setup.endpoint, "agent-1", "prod", setup.plane.agent_kubeconfig, setup.port + 9)
    try:
        wait_for("the first enrolment", lambda: "enrolled" in other.process.text())
        other.kill()
        for file in (other.directory / "identity").iterdir():
            file.unlink()
        other.start()
        wait_for("the refusal", lambda: "not enrolled" in other.process.text() and "spent" in other.process.text())
    finally:
        other.kill()


def test_nobody_is_anonymous_but_health(setup):
    assert setup.endpoint.call("GET", "/v1/accounts", token="wrong")[0] == 401
    assert setup.endpoint.call("GET", "/metrics", token="wrong")[0] == 401
    assert setup.endpoint.call("GET", "/healthz", raw=True, token="wrong") == (200, "ok\n")


def test_objects_are_served_in_pages(setup, api):
    seen, token = [], ""
    while True:
        page = setup.endpoint.get(f"/v1/objects?account=prod&kind=configMap&limit=7&continue={token}")
        seen += [(one["namespace"], one["name"]) for one in page["objects"]]
        token = page["continue"]
        if not token:
            break
    listed = [(item["metadata"]["namespace"], item["metadata"]["name"]) for item in api.list_all("/api/v1/configmaps")]
    assert sorted(seen) == sorted(listed)
    assert len(set(seen)) == len(seen)


def test_two_minutes_of_steady_state_change_nothing(setup, plane):
    written = setup.endpoint.metric("fairlead_store_rows_written_total")
    mark = plane.audit_size()
    time.sleep(120)
    mutating = [one for one in plane.audit(since=mark) if one[0] not in ("get", "list", "watch")]
    assert mutating == []
    assert full_lists(plane.audit(since=mark)) == []
    assert setup.endpoint.metric("fairlead_store_rows_written_total") == written


def test_both_stop_cleanly(setup):
    assert setup.agents[0].stop() == 0
    assert setup.endpoint.process.stop() == 0
