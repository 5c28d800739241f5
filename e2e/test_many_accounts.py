"""Many small accounts at one endpoint: one that stands still, or whose rows the database refuses, touches no other; and all
come back at once when the endpoint does."""
import contextlib
import os

import pytest

from e2e.chaos.ledger import percentile
from e2e.chaos.relay import Loop, Relay
from e2e.conftest import Setup
from e2e.support import many, system, verdict
from e2e.support.probe import Probe
from e2e.support.system import peak_memory
from e2e.test_cache import full_lists
from e2e.test_freshness import by_hand

# The numbers are 999 and 100: MANY_ACCOUNTS=999 MANY_AGENTS=100.
ACCOUNTS = many.names("small", int(os.environ.get("MANY_ACCOUNTS", "99")))
AGENTS = int(os.environ.get("MANY_AGENTS", "30"))
STALLED, POISONED = ACCOUNTS[0], ACCOUNTS[1]


class Crowd:
    """Every account in one agent's process; the first reaches its cluster by a relay."""

    def __init__(self, work, plane, api):
        self.setup = Setup(work, plane, "crowd")
        self.endpoint = self.setup.endpoint
        many.add(self.endpoint, api, ACCOUNTS)
        self.relay = Relay(Loop(), self.setup.port + 9, plane.port)
        own = self.setup.directory / "relayed.kubeconfig"
        own.write_text(plane.agent_kubeconfig.read_text().replace(f":{plane.port}", f":{self.relay.port}"))
        kubeconfigs = dict.fromkeys(ACCOUNTS, plane.agent_kubeconfig) | {STALLED: own}
        self.agent = system.Agent(self.setup.directory / "crowd", self.endpoint, "agent-1", kubeconfigs, None, self.setup.port + 2)
        self.setup.agents.append(self.agent)

    def close(self):
        self.setup.close()

    def version_of(self, account):
        connection = verdict.open_database(self.setup.database)
        connection.isolation_level = None

        def version(resource, namespace, name):
            found = connection.execute("SELECT resource_version FROM account_objects WHERE account = ? AND resource = ? AND "
                                       "namespace = ? AND name = ?", (account, resource, namespace, name)).fetchone()
            return None if found is None else int(found[0])
        return version


@pytest.fixture(scope="module")
def crowd(work, plane, api):
    with contextlib.ExitStack() as stack:
        made = Crowd(work, plane, api)
        stack.callback(made.close)
        seconds = many.wait_synced(made.endpoint, ACCOUNTS, 60 + len(ACCOUNTS) / 5)
        print(f"{len(ACCOUNTS)} accounts in one agent in sync after {seconds:.1f} s, {peak_memory(made.agent) >> 20} MiB; "
              f"endpoint {peak_memory(made.endpoint) >> 20} MiB")
        yield made


def waits(crowd, api, rounds):
    """How long writes of every other tenth account take to be rows."""
    probes = [Probe(api, name, crowd.version_of(name)) for name in ACCOUNTS[2::10]]
    return [probe.write_to_row() for _ in range(rounds) for probe in probes]


def unlike(crowd, api, accounts):
    return [name for name in accounts if verdict.differences(crowd.setup.database, name, api)[0]]


def test_an_account_that_stands_still_touches_no_other(crowd, plane, api):
    usual = waits(crowd, api, 5)
    mark = plane.audit_size()
    crowd.relay.up.open = crowd.relay.down.open = False
    try:
        api.call("POST", f"/api/v1/namespaces/{STALLED}/configmaps", {"metadata": {"name": "unseen"}})
        during = waits(crowd, api, 20)
        assert verdict.differences(crowd.setup.database, STALLED, api)[0]
        assert many.synced(crowd.endpoint, ACCOUNTS[1:]) == len(ACCOUNTS) - 1
    finally:
        crowd.relay.heal()
    verdict.wait_until_equal(crowd.setup.database, STALLED, api, seconds=40)
    print(f"p99 {percentile(during, 99) * 1000:.0f} ms of {len(during)}, {percentile(usual, 99) * 1000:.0f} ms before")
    assert percentile(during, 99) < max(0.5, 5 * percentile(usual, 99))
    # With 999 accounts it stands still for longer than the API server keeps versions, and is listed again.
    assert [one for one in full_lists(plane.audit(since=mark)) if f"/{STALLED}/" not in one] == []


def test_an_account_whose_rows_are_refused_touches_no_other(crowd, plane, api):
    usual = waits(crowd, api, 5)
    kind = "(SELECT k.id FROM kinds k JOIN shards s ON s.id = k.shard JOIN accounts a ON a.uid = s.account " \
           f"WHERE a.name = '{POISONED}')"
    by_hand(crowd.setup, *(f"CREATE TRIGGER refuse_{event} BEFORE {event} ON objects WHEN NEW.kind IN {kind} BEGIN "
                           "SELECT RAISE(FAIL, 'refused for a test'); END" for event in ("INSERT", "UPDATE")))
    path = f"/api/v1/namespaces/{POISONED}/configmaps"
    before = crowd.endpoint.metric("fairlead_store_rows_refused_total")
    try:
        for number in range(50):
            api.call("POST", path, {"metadata": {"name": f"refused-{number}"}})
        during = waits(crowd, api, 20)
        refused = crowd.endpoint.metric("fairlead_store_rows_refused_total") - before
        assert refused >= 50
        assert many.synced(crowd.endpoint, ACCOUNTS[2:]) == len(ACCOUNTS) - 2
    finally:
        by_hand(crowd.setup, "DROP TRIGGER refuse_INSERT", "DROP TRIGGER refuse_UPDATE")
    print(f"p99 {percentile(during, 99) * 1000:.0f} ms of {len(during)}, {percentile(usual, 99) * 1000:.0f} ms before; {refused:.0f} refused")
    assert percentile(during, 99) < max(0.5, 5 * percentile(usual, 99))
    assert unlike(crowd, api, ACCOUNTS[2::10]) == []
    # The next change of each brings it, as of any object that was left out.
    for number in range(50):
        api.call("PATCH", f"{path}/refused-{number}", {"data": {"v": "fine"}}, "application/merge-patch+json")
    verdict.wait_until_equal(crowd.setup.database, POISONED, api, at_least=51)


def test_the_number_of_series_stays_as_objects_come(crowd, api):
    def series():
        return {text.split(" ")[0] for answer in (crowd.agent.metrics(), crowd.endpoint.get("/metrics", raw=True))
                for text in answer.splitlines() if not text.startswith("#")}
    before = series()
    for name in ACCOUNTS[2:12]:
        for number in range(30):
            api.call("POST", f"/api/v1/namespaces/{name}/configmaps", {"metadata": {"name": f"series-{number}"}})
    verdict.wait_until_equal(crowd.setup.database, ACCOUNTS[11], api, at_least=31)
    assert series() == before
    assert len(before) < 200, "none is of an account"


def test_agents_that_all_come_back_at_once(work, plane, api):
    """Each in a process of its own; the endpoint dies under all of them, objects change meanwhile."""
    accounts = many.names("lonely", AGENTS)
    with contextlib.ExitStack() as stack:
        made = Setup(work, plane, "returning")
        stack.callback(made.close)
        many.add(made.endpoint, api, accounts)
        for number, name in enumerate(accounts):
            made.agents.append(system.Agent(made.directory / name, made.endpoint, "agent-1", name, plane.agent_kubeconfig, 24000 + number,
                                            more="limits: {workers: 1}\n"))
        first = many.wait_synced(made.endpoint, accounts, 120)
        made.endpoint.kill()
        mark = plane.audit_size()
        for name in accounts:
            api.call("PATCH", f"/api/v1/namespaces/{name}/configmaps/one", {"data": {"v": "1"}}, "application/merge-patch+json")
        made.endpoint.start()
        again = many.wait_synced(made.endpoint, accounts, 60)
        for name in accounts:
            verdict.wait_until_equal(made.database, name, api)
        lists, requests = full_lists(plane.audit(since=mark)), len(plane.audit(since=mark))
        print(f"{AGENTS} agents: in sync {first:.1f} s after the last was started, and {again:.1f} s after the endpoint was back; "
              f"{len(lists)} full lists, {requests} requests; endpoint {peak_memory(made.endpoint) >> 20} MiB")
        assert again < 20
        assert lists == []
