"""What a network does to connections without a word, and a cluster that stands still: nothing is listed anew, nobody loses
what is his."""
import time

import pytest

from e2e.chaos.relay import Loop, Relay
from e2e.conftest import Setup
from e2e.support import verdict
from e2e.support.probe import Probe
from e2e.support.system import wait_for
from e2e.test_cache import full_lists, serves, version_of

IDLE = 3  # seconds; real proxies have a minute


class Linked:
    """An agent that reaches its cluster and its endpoint through relays."""

    def __init__(self, work, plane):
        self.setup = Setup(work, plane, "links")
        loop = Loop()
        self.to_cluster = Relay(loop, self.setup.port + 8, plane.port)
        self.to_endpoint = Relay(loop, self.setup.port + 9, self.setup.endpoint.agents)
        kubeconfig = self.setup.directory / "relayed.kubeconfig"
        kubeconfig.write_text(plane.agent_kubeconfig.read_text().replace(f":{plane.port}", f":{self.to_cluster.port}"))
        self.agent = self.setup.add_agent(kubeconfig, f"127.0.0.1:{self.to_endpoint.port}")

    def sessions(self):
        return self.agent.metric("fairlead_agent_sessions")


@pytest.fixture(scope="module")
def linked(work, plane):
    made = Linked(work, plane)
    try:
        made.setup.wait_settled()
        yield made
    finally:
        made.setup.close()


def test_a_proxy_that_ends_idle_connections(linked, plane, api, namespace):
    probe = Probe(api, namespace, version_of(linked.setup))
    probe.write_to_row()
    sessions, mark = linked.sessions(), plane.audit_size()
    for relay in (linked.to_cluster, linked.to_endpoint):
        relay.idle = IDLE
        relay.reset()  # those that are open already are not looked at
    gap = probe.write_to_row()
    wait_for("all is watched", lambda: serves(linked.agent), 30)
    accepted = linked.to_cluster.accepted
    time.sleep(4 * IDLE)
    assert linked.sessions() == sessions + 1, "beats keep the session's connection in use"
    after = probe.write_to_row(seconds=10)
    for relay in (linked.to_cluster, linked.to_endpoint):
        relay.idle = 0
        relay.reset()
    verdict.wait_until_equal(linked.setup.database, "prod", api, seconds=30)
    wait_for("all is watched", lambda: serves(linked.agent), 30)
    print(f"reset {gap:.2f} s; idle for {4 * IDLE} s: {linked.to_cluster.accepted - accepted} connections to the cluster ended, "
          f"then {after * 1000:.0f} ms")
    assert full_lists(plane.audit(since=mark)) == []


def test_a_half_open_connection_to_the_endpoint_is_found_and_replaced(linked, plane, api, namespace):
    """One to the cluster: unit/agent/account/watcher_network_test.cc; it takes 45 s."""
    probe = Probe(api, namespace, version_of(linked.setup))
    probe.write_to_row()
    mark = plane.audit_size()
    linked.to_endpoint.forget()
    gap = probe.write_to_row(seconds=10)
    print(f"gap {gap:.1f} s")
    verdict.wait_until_equal(linked.setup.database, "prod", api)
    wait_for("all is watched", lambda: serves(linked.agent), 30)
    assert full_lists(plane.audit(since=mark)) == []


def test_a_cluster_that_stands_still_longer_than_a_lease_costs_no_grant(linked, plane, api, namespace):
    probe = Probe(api, namespace, version_of(linked.setup))
    probe.write_to_row()
    holder, sessions, mark = linked.setup.endpoint.account("prod")["status"]["instance"], linked.sessions(), plane.audit_size()
    plane.pause()
    try:
        time.sleep(6)  # four leases
        assert linked.setup.endpoint.account("prod")["status"]["instance"] == holder
    finally:
        plane.go_on()
    assert probe.write_to_row(seconds=20) < 5
    verdict.wait_until_equal(linked.setup.database, "prod", api, seconds=30)
    assert linked.setup.endpoint.account("prod")["status"]["instance"] == holder
    assert linked.sessions() == sessions
    assert full_lists(plane.audit(since=mark)) == []
