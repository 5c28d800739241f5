"""More than can be taken in: a burst while the database is slow, a database that is away for long. What waits is bounded,
others keep their freshness, nobody lists everything anew, and in the end the rows are the lists."""
import contextlib
import multiprocessing
import os
import time

import pytest

from e2e.chaos.ledger import percentile
from e2e.conftest import Setup
from e2e.support import many, system, verdict
from e2e.support.api import Api
from e2e.support.probe import Probe
from e2e.support.storm import Storm, noise
from e2e.support.system import peak_memory, wait_for
from e2e.test_cache import full_lists

# `BURST_EVENTS=10000 DATABASE_AWAY_SECONDS=180` are the issue's.
BURST = int(os.environ.get("BURST_EVENTS", "2000"))
AWAY = int(os.environ.get("DATABASE_AWAY_SECONDS", "20"))
OBJECTS, BYTES = BURST * 2 // 3, 10000
MEBI = 1 << 20
# The least that can be configured, so that objects of 20 MB and more are far beyond all of it.
ENDPOINT_LIMITS = "limits: {queueBytes: 1048576, shardCreditBytes: 65536}\n"
AGENT_LIMITS = "limits: {pendingBytes: 1048576}\n"
# Agent: what is pending (1 MiB and the object that reaches it), a batch under way and its copy encoded (256 KiB each), what
# the API server may send before a paused stream holds it (a window of 64 KiB a watch), the allocator's rest of all that.
AGENT_BOUND = 12 * MEBI
# Endpoint: the queue (1 MiB), a transaction's batches decoded, encoded and compressed, twice the credit of each account.
ENDPOINT_BOUND = 24 * MEBI


class Pressed:
    """Accounts `busy` and `calm`, an agent for each, on PostgreSQL."""

    def __init__(self, work, plane, api):
        self.server = system.DatabaseServer("postgresql")
        self.setup = Setup(work, plane, "pressed", database_url=self.server.url, more=ENDPOINT_LIMITS)
        self.endpoint = self.setup.endpoint
        # After minutes the API server has only a list, and what vanished meanwhile is too much for the usual protection.
        many.add(self.endpoint, api, ["busy", "calm"], deletionProtection={"maxPercent": 100, "maxCount": 100000})
        self.agents = {}

    def start_agents(self, plane):
        for number, name in enumerate(("busy", "calm")):
            self.agents[name] = system.Agent(self.setup.directory / name, self.endpoint, "agent-1", name, plane.agent_kubeconfig,
                                             self.setup.port + 2 + number, more=AGENT_LIMITS)
        many.wait_synced(self.endpoint, self.agents)

    def version_of(self, account):
        """Reads resourceVersions of the account's rows, for probes."""
        connection = verdict.open_database(self.setup.database)

        def version(resource, namespace, name):
            found = connection.execute("SELECT resource_version FROM account_objects WHERE account = ? AND resource = ? AND "
                                       "namespace = ? AND name = ?", (account, resource, namespace, name)).fetchone()
            return None if found is None else int(found[0])
        return version

    def close(self):
        for agent in self.agents.values():
            agent.kill()
        self.setup.close()
        self.server.close()


@pytest.fixture(scope="module")
def pressed(work, plane, api):
    with contextlib.ExitStack() as stack:
        made = Pressed(work, plane, api)
        stack.callback(made.close)
        made.start_agents(plane)
        yield made


@contextlib.contextmanager
def slow_rows(database, seconds):
    """Every row takes so long to write, whoever's it is."""
    with contextlib.closing(verdict.open_database(database)) as connection:
        connection.execute(f"CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep({seconds}); RETURN NEW; END $$")
        connection.execute("CREATE TRIGGER slow BEFORE INSERT OR UPDATE ON objects FOR EACH ROW EXECUTE FUNCTION slow()")
        try:
            yield
        finally:
            connection.execute("DROP TRIGGER slow ON objects")


def _connect(kubeconfig):
    _patch.api = Api(kubeconfig)


def _patch(number):
    path, data = "/api/v1/namespaces/busy/configmaps", {"data": {"v": noise(BYTES * 3 // 4)}}
    if number < OBJECTS:
        _patch.api.call("POST", path, {"metadata": {"name": f"burst-{number:04}"}, **data})
    else:
        _patch.api.call("PATCH", f"{path}/burst-{number % OBJECTS:04}", data, "application/merge-patch+json")


def burst(plane, count):
    """Creates and patches over several connections, of processes of their own; how many a second it were."""
    with multiprocessing.get_context("spawn").Pool(4, initializer=_connect, initargs=(plane.kubeconfig,)) as pool:
        pool.map(_connect, [plane.kubeconfig] * 8, chunksize=2)  # that all have begun
        begun = time.monotonic()
        pool.map(_patch, range(OBJECTS), chunksize=25)
        pool.map(_patch, range(OBJECTS, count), chunksize=25)
    return count / (time.monotonic() - begun)


def test_a_burst_while_the_database_is_slow(pressed, plane, api):
    probe = Probe(api, "calm", pressed.version_of("calm"))
    probe.write_to_row()
    before = {name: peak_memory(agent) for name, agent in pressed.agents.items()}
    endpoint_before, mark = peak_memory(pressed.endpoint), plane.audit_size()
    with slow_rows(pressed.setup.database, 0.005):
        usual = [probe.write_to_row() for _ in range(50)]
        probing = many.Probing(probe)
        rate = burst(plane, BURST)
        waits = probing.stop()
    begun = time.monotonic()
    verdict.wait_until_equal(pressed.setup.database, "busy", api, seconds=90, at_least=OBJECTS)
    behind = time.monotonic() - begun
    verdict.wait_until_equal(pressed.setup.database, "calm", api)
    grown = peak_memory(pressed.agents["busy"]) - before["busy"]
    endpoint_grown = peak_memory(pressed.endpoint) - endpoint_before
    lists = full_lists(plane.audit(since=mark))
    print(f"{BURST} events of {BYTES} bytes at {rate:.0f}/s; agent grew by {grown >> 10} KiB, endpoint by {endpoint_grown >> 10} KiB; "
          f"calm: p99 {percentile(waits, 99) * 1000:.0f} ms of {len(waits)}, without the burst {percentile(usual, 99) * 1000:.0f} ms; "
          f"equal {behind:.1f} s after it, {len(lists)} full lists; {pressed.agents['busy'].metric('fairlead_agent_events'):.0f} events read, "
          f"{pressed.agents['busy'].metric('fairlead_agent_changes'):.0f} changes")
    assert grown < AGENT_BOUND
    assert endpoint_grown < ENDPOINT_BOUND
    # A transaction that is under way, and the one that has it: each a few batches of forty rows of 5 ms.
    assert percentile(waits, 99) < 3
    # A watch that was stopped for longer than the API server keeps its versions is listed again, once.
    assert len(lists) <= 1


def test_a_database_that_is_away_while_objects_change(pressed, plane, api):
    pids = [one.process.process.pid for one in (pressed.endpoint, *pressed.agents.values())]
    before = [peak_memory(one) for one in (pressed.endpoint, *pressed.agents.values())]
    terms = [pressed.endpoint.account(name)["status"].get("instance") for name in pressed.agents]
    mark = plane.audit_size()
    pressed.server.kill()
    storms = [Storm(api, name, writes=10**6, rate=150, seed=71 + number, kinds=("ConfigMap",)).start()
              for number, name in enumerate(pressed.agents)]
    try:
        wait_for("readiness says so", lambda: not pressed.endpoint.ready())
        until = time.monotonic() + AWAY
        while time.monotonic() < until:
            assert pressed.endpoint.call("GET", "/healthz", raw=True)[0] == 200
            time.sleep(1)
        pressed.server.start()
        wait_for("it is ready again", pressed.endpoint.ready, 40)
    finally:
        for storm in storms:
            storm.stop()
    for name in pressed.agents:
        verdict.wait_until_equal(pressed.setup.database, name, api, seconds=30, at_least=5)
    programs = (pressed.endpoint, *pressed.agents.values())
    assert [one.process.process.pid for one in programs if one.process.process.poll() is None] == pids, "nobody restarted"
    assert [pressed.endpoint.account(name)["status"].get("instance") for name in pressed.agents] == terms
    grown = [peak_memory(one) - was for one, was in zip(programs, before)]
    lists = [one for one in full_lists(plane.audit(since=mark)) if "continue=" not in one]
    print(f"{AWAY} s, {sum(storm.answered for storm in storms)} writes; grown by {[one >> 10 for one in grown]} KiB; {len(lists)} full lists")
    assert grown[0] < ENDPOINT_BOUND and max(grown[1:]) < AGENT_BOUND
    assert len(lists) <= len(pressed.agents)
