"""A real API server's changes are the endpoint's rows, whatever is killed in between."""
import contextlib
import sqlite3
import time

import pytest

from e2e.support import storm as storm_support
from e2e.support import system, verdict
from e2e.support.probe import Probe
from e2e.support.storm import Storm
from e2e.support.system import wait_for


def row(setup, resource, namespace, name):
    with sqlite3.connect(f"file:{setup.database}?mode=ro", uri=True) as connection:
        return connection.execute("SELECT o.resource_version, o.seq FROM objects o JOIN kinds k ON k.id = o.kind WHERE "
                                  "k.resource = ? AND o.namespace = ? AND o.name = ?", (resource, namespace, name)).fetchone()


def version_of(setup):
    """Reads resourceVersions of rows, for probes."""
    connection = verdict.open_database(setup.database)
    connection.isolation_level = None

    def version(resource, namespace, name):
        found = connection.execute("SELECT resource_version FROM account_objects WHERE account = 'prod' AND resource = ? AND "
                                   "namespace = ? AND name = ?", (resource, namespace, name)).fetchone()
        return None if found is None else int(found[0])
    return version


def full_lists(requests):
    return [one.uri for one in requests if one.full_list]


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


@contextlib.contextmanager
def storming(api, namespace, seed):
    """Every kill lands while at least 100 writes a second run; they go on until recovery is seen."""
    storm = Storm(api, namespace, writes=10**6, rate=250, seed=seed).start()
    try:
        storm.wait_until_fast()
        yield storm
    finally:
        storm.stop()
    print(f"{storm.answered} writes at {storm.rate():.0f}/s")


def serves(agent):
    return agent.metric("fairlead_agent_accounts_granted") == 1 and agent.metric('fairlead_agent_watches{state="Watching"}') == 6


def every_kind_is_live(setup, api, namespace):
    """A write of each kind becomes a row: by its watch, or by the list that goes before it."""
    for kind, path in storm_support.PATHS.items():
        api.call("POST", path.format(ns=namespace), {"apiVersion": storm_support.VERSIONS[kind], "kind": kind, "metadata": {"name": "live"},
                                                     **storm_support.spec_of(kind)})
    api.call("POST", f"/api/v1/namespaces/{namespace}/secrets", {"metadata": {"name": "live"}})
    labelled = api.call("PATCH", f"/api/v1/namespaces/{namespace}", {"metadata": {"labels": {"live": "yes"}}},
                        content_type="application/merge-patch+json")
    for resource in ("pods", "configmaps", "deployments", "widgets", "secrets"):
        wait_for(f"a row of {resource}", lambda resource=resource: row(setup, resource, namespace, "live"))
    wait_for("the row of the namespace", lambda: row(setup, "namespaces", "", namespace)[0] == labelled["metadata"]["resourceVersion"])


def test_agent_killed_in_a_storm_resumes_without_a_list(setup, api, plane, namespace):
    with storming(api, namespace, seed=2):
        mark = plane.audit_size()
        setup.agents[0].kill()
        setup.agents[0].start()
        wait_for("it watches again", lambda: serves(setup.agents[0]))
    verdict.wait_until_equal(setup.database, "prod", api)
    assert full_lists(plane.audit(since=mark)) == []


def test_endpoint_killed_in_a_storm(setup, api, plane, namespace):
    with storming(api, namespace, seed=3):
        mark = plane.audit_size()
        setup.endpoint.kill()
        setup.endpoint.start()
        probe = Probe(api, namespace, version_of(setup))
        probe.write_to_row()
    verdict.wait_until_equal(setup.database, "prod", api)
    assert full_lists(plane.audit(since=mark)) == []


def test_api_server_restarted_in_a_storm(setup, api, plane, namespace):
    with storming(api, namespace, seed=4):
        plane.restart()
    # Lists are unavoidable here: a new server's watch cache begins at its own first list, so it answers
    # 410 to every older position. Until it has read roles and custom resources it answers 403 and 404.
    verdict.wait_until_equal(setup.database, "prod", api, seconds=30)
    # A kind whose rows are right may still be on its way to a list, which would fall into the next test.
    every_kind_is_live(setup, api, namespace)
    wait_for("every kind is watched", lambda: serves(setup.agents[0]))


@pytest.fixture(name="pair")
def primary_and_standby(setup):
    """(primary, standby); afterwards one agent serves, as before."""
    added = setup.add_agent()
    try:
        wait_for("a standby", lambda: setup.endpoint.account("prod")["status"]["standbys"] == 1)
        assert setup.agents[0].metric("fairlead_agent_accounts_granted") == 1
        assert added.metric("fairlead_agent_accounts_granted") == 0
        yield setup.agents[0], added
    finally:
        setup.agents.remove(added)
        added.kill()
        setup.agents[0].kill()
        setup.agents[0].start()
        wait_for("the first serves again", lambda: setup.agents[0].metric("fairlead_agent_accounts_granted") == 1)


def take_over_in_a_storm(setup, api, plane, namespace, standby, seed, strike):
    """Strikes the primary amid a storm; the longest time that a write's row was not readable."""
    holder = setup.endpoint.account("prod")["status"]["instance"]
    with storming(api, namespace, seed) as storm:
        probe = Probe(api, namespace, version_of(setup))
        usual, _ = probe.longest_gap(seconds=2)
        mark = plane.audit_size()
        strike()
        gap, writes = probe.longest_gap(seconds=4)
    print(f"longest time a write's row was not readable: {gap:.2f} s, and {usual:.2f} s before ({writes} writes probed, the storm at "
          f"{storm.rate():.0f}/s)")
    assert gap - usual < 5
    assert setup.endpoint.account("prod")["status"]["instance"] != holder
    assert standby.metric("fairlead_agent_accounts_granted") == 1
    verdict.wait_until_equal(setup.database, "prod", api)
    assert full_lists(plane.audit(since=mark)) == []


def test_standby_takes_over_when_the_primary_is_killed_in_a_storm(setup, pair, api, plane, namespace):
    primary, standby = pair
    take_over_in_a_storm(setup, api, plane, namespace, standby, 5, primary.kill)
    primary.start()
    wait_for("a standby again", lambda: setup.endpoint.account("prod")["status"]["standbys"] == 1)


def test_standby_takes_over_when_the_primary_is_paused_in_a_storm(setup, pair, api, plane, namespace):
    primary, standby = pair
    try:
        take_over_in_a_storm(setup, api, plane, namespace, standby, 6, primary.process.pause)
    finally:
        primary.process.go_on()
    # What the old primary still had to send lands nowhere, and it learns that it is a standby now.
    wait_for("the old primary gives up its grant", lambda: primary.metric("fairlead_agent_accounts_granted") == 0)
    wait_for("it is a standby", lambda: setup.endpoint.account("prod")["status"]["standbys"] == 1)
    verdict.wait_until_equal(setup.database, "prod", api)


def restart_in_quiet(setup, api, plane):
    """Nothing is listed but one object, and no row is written."""
    verdict.wait_until_equal(setup.database, "prod", api)
    time.sleep(1)
    written = setup.endpoint.metric("fairlead_store_rows_written_total")
    deleted = setup.endpoint.metric("fairlead_store_rows_deleted_total")
    mark = plane.audit_size()
    setup.agents[0].kill()
    setup.agents[0].start()
    wait_for("every watch is open", lambda: serves(setup.agents[0]))
    time.sleep(2)
    requests = plane.audit(since=mark)
    assert [one for one in requests if one.verb == "list" and not one.full_list], "positions were checked"
    assert full_lists(requests) == []
    assert setup.endpoint.metric("fairlead_store_rows_written_total") == written
    assert setup.endpoint.metric("fairlead_store_rows_deleted_total") == deleted
    verdict.wait_until_equal(setup.database, "prod", api)


def test_restart_in_quiet_lists_nothing_and_writes_no_row(setup, api, plane):
    restart_in_quiet(setup, api, plane)


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
    mutating = [one for one in plane.audit(since=mark) if one.verb not in ("get", "list", "watch")]
    assert mutating == []
    assert full_lists(plane.audit(since=mark)) == []
    assert setup.endpoint.metric("fairlead_store_rows_written_total") == written


def test_both_stop_cleanly(setup):
    assert setup.agents[0].stop() == 0
    assert setup.endpoint.process.stop() == 0
