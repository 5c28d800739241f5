"""The same cache on PostgreSQL and MariaDB: storms while the endpoint, the agent or the database dies."""
import time

import pytest

from e2e.conftest import settled_setup
from e2e.support import system, verdict
from e2e.support.probe import Probe
from e2e.support.storm import Storm
from e2e.support.system import wait_for
from e2e.test_cache import full_lists, restart_in_quiet, serves, storming, version_of


@pytest.fixture(scope="module")
def setup(work, plane, server):
    with settled_setup(work, plane, f"on-{server.engine}", database_url=server.url) as made:
        yield made


def test_a_storm_ends_with_rows_that_are_the_lists(setup, api, namespace):
    storm = Storm(api, namespace, writes=1000, rate=400).start().join()
    assert storm.failed == 0
    compared = verdict.wait_until_equal(setup.database, "prod", api, at_least=150)
    print(f"{storm.answered} writes at {storm.rate():.0f}/s, {compared} objects equal")


def test_endpoint_killed_in_a_storm(setup, api, plane, namespace):
    with storming(api, namespace, seed=21):
        mark = plane.audit_size()
        setup.endpoint.kill()
        setup.endpoint.start()
        wait_for("it serves again", lambda: serves(setup.agents[0]))
    verdict.wait_until_equal(setup.database, "prod", api)
    assert full_lists(plane.audit(since=mark)) == []


def test_database_killed_in_a_storm(setup, server, api, plane, namespace):
    session = setup.endpoint.account("prod")["status"]["instance"]
    with storming(api, namespace, seed=22):
        mark = plane.audit_size()
        server.kill()
        wait_for("readiness says so", lambda: not setup.endpoint.ready())
        assert setup.endpoint.call("GET", "/healthz", raw=True)[0] == 200
        server.start()
        wait_for("it is ready again", setup.endpoint.ready, 30)
        Probe(api, namespace, version_of(setup)).write_to_row()
    verdict.wait_until_equal(setup.database, "prod", api, seconds=30)
    assert full_lists(plane.audit(since=mark)) == []
    assert setup.endpoint.account("prod")["status"]["instance"] == session
    assert setup.endpoint.metric("fairlead_store_transaction_failures_total") > 0


def test_database_that_stands_still_in_a_storm(setup, server, api, plane, namespace):
    with storming(api, namespace, seed=23):
        mark = plane.audit_size()
        server.pause()
        try:
            time.sleep(4)
            assert setup.endpoint.call("GET", "/healthz", raw=True)[0] == 200
        finally:
            server.go_on()
        Probe(api, namespace, version_of(setup)).write_to_row()
    verdict.wait_until_equal(setup.database, "prod", api, seconds=30)
    assert full_lists(plane.audit(since=mark)) == []


def test_restart_in_quiet_lists_nothing_and_writes_no_row(setup, api, plane):
    restart_in_quiet(setup, api, plane)
