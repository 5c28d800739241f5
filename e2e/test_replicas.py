"""Two replicas of the endpoint on one database: whichever dies, stops or leaves, the other goes on where it left off."""
import contextlib
import re

import pytest

from e2e.conftest import Setup
from e2e.support import system, verdict
from e2e.support.probe import Probe
from e2e.support.system import wait_for
from e2e.test_cache import full_lists, storming, version_of


class Pair:
    """Replicas `one` and `two`, each with an agent of the account: that of `one` is primary."""

    def __init__(self, work, plane, server):
        self.setup = Setup(work, plane, f"replicas-{server.engine}", database_url=server.url)
        self.one = self.setup.endpoint
        self.two = system.Endpoint(self.setup.directory / "two", self.setup.port + 6, database_url=server.url, first=self.one)

    def start_agents(self):
        self.at_one = self.setup.add_agent()
        self.setup.wait_settled()
        self.at_two = self.setup.add_agent(address=f"127.0.0.1:{self.two.agents}")
        wait_for("a standby at the other replica", lambda: self.two.account("prod")["status"]["standbys"] == 1)

    def close(self):
        self.setup.close()
        self.two.kill()


@pytest.fixture(scope="module")
def pair(work, plane, server):
    with contextlib.ExitStack() as stack:
        made = Pair(work, plane, server)
        stack.callback(made.close)
        made.start_agents()
        yield made


@pytest.fixture(autouse=True)
def primary_at_one(pair):
    """As every test finds it and leaves it: agents at both replicas, the primary at `one`."""
    yield
    status = pair.two.account("prod")["status"]
    if not status["connected"] or pair.at_two.metric("fairlead_agent_accounts_granted") == 1:
        pair.at_two.kill()
        wait_for("the primary is at one", lambda: pair.at_one.metric("fairlead_agent_accounts_granted") == 1)
        pair.at_two.start()
    wait_for("a standby", lambda: pair.two.account("prod")["status"]["standbys"] == 1)


def granted(agent):
    return agent.metric("fairlead_agent_accounts_granted") == 1


def holder(pair):
    """The replica that writes the account, and the other one."""
    with contextlib.closing(verdict.open_database(pair.setup.database)) as connection:
        replica, = connection.execute("SELECT replica FROM shards s JOIN accounts a ON a.uid = s.account WHERE a.name = 'prod'").fetchone()
    replica = replica.decode() if isinstance(replica, bytes) else replica
    ids = {re.findall('endpoint runs".*"replica":"([0-9a-f]+)"', one.process.text())[-1]: one for one in (pair.one, pair.two)}
    held = ids.pop(replica)
    return held, *ids.values()


@contextlib.contextmanager
def standing_still(process):
    process.pause()
    try:
        yield
    finally:
        process.go_on()


def shard(database):
    with contextlib.closing(verdict.open_database(database)) as connection:
        return connection.execute("SELECT store, term, last_seq FROM shards s JOIN accounts a ON a.uid = s.account "
                                  "WHERE a.name = 'prod'").fetchone()


@contextlib.contextmanager
def taken_over(pair, api, plane, namespace, seed):
    """In a storm; afterwards rows are the lists, and no list was needed. Gives a probe to measure the gap with."""
    with storming(api, namespace, seed=seed):
        mark = plane.audit_size()
        probe = Probe(api, namespace, version_of(pair.setup))
        probe.write_to_row()
        yield probe
    verdict.wait_until_equal(pair.setup.database, "prod", api, seconds=30)
    assert full_lists(plane.audit(since=mark)) == []


def test_accounts_and_their_agents_are_known_to_both(pair):
    for endpoint in (pair.one, pair.two):
        wait_for("both agents", lambda endpoint=endpoint: [endpoint.account("prod")["status"][key] for key in ("connected", "standbys")]
                 == [True, 1])
        assert endpoint.metric("fairlead_endpoint_replicas") == 2
    pair.two.put_account("other", "agent-1", {"kinds": ["pod"]})
    uid = pair.one.account("other")["uid"]
    assert pair.one.call("DELETE", f"/v1/accounts/other?uid={uid}")[0] == 200
    wait_for("it is gone", lambda: pair.two.call("GET", "/v1/accounts/other")[0] == 404)


def test_agent_killed(pair, api, plane, namespace):
    with taken_over(pair, api, plane, namespace, 41) as probe:
        pair.at_one.kill()
        gap = probe.write_to_row()
        assert granted(pair.at_two)
    print(f"gap {gap * 1000:.0f} ms")
    assert gap < 3
    pair.at_one.start()


def test_agent_stopped(pair, api, plane, namespace):
    with taken_over(pair, api, plane, namespace, 42) as probe:
        with standing_still(pair.at_one.process):
            gap = probe.write_to_row()
            assert granted(pair.at_two)
    print(f"gap {gap * 1000:.0f} ms")
    assert gap < 6


def test_replica_killed(pair, api, plane, namespace):
    with taken_over(pair, api, plane, namespace, 43) as probe:
        pair.one.kill()
        gap = probe.write_to_row()
        assert granted(pair.at_two)
        pair.one.start()
    print(f"gap {gap * 1000:.0f} ms")
    assert gap < 8


@pytest.fixture(name="roamer")
def primary_that_knows_both(pair):
    """The only agent there is, with the addresses of both replicas."""
    pair.at_one.kill()
    pair.at_two.kill()
    made = pair.setup.add_agent(address=f"127.0.0.1:{pair.one.agents}, 127.0.0.1:{pair.two.agents}")
    try:
        wait_for("it serves", lambda: granted(made))
        yield made
    finally:
        made.kill()
        pair.setup.agents.remove(made)
        pair.at_one.start()
        wait_for("the primary is at one", lambda: granted(pair.at_one))
        pair.at_two.start()


def test_an_agent_takes_its_account_along_when_its_replica_is_killed(pair, roamer, api, plane, namespace):
    at, other = holder(pair)
    with taken_over(pair, api, plane, namespace, 48) as probe:
        at.kill()
        gap = probe.write_to_row()
        assert granted(roamer)
        assert holder(pair)[0] is other
        at.start()
    print(f"gap {gap * 1000:.0f} ms")
    assert gap < 5


def test_replica_stopped_and_continued_lands_nothing_more(pair, api, plane, namespace):
    with taken_over(pair, api, plane, namespace, 44) as probe:
        with standing_still(pair.one.process):
            gap = probe.write_to_row()
            assert granted(pair.at_two)
            _, term, _ = shard(pair.setup.database)
        wait_for("it has noticed", lambda: "grant begins anew" in pair.one.process.text() or not granted(pair.at_one))
        assert probe.write_to_row() < 6
        assert shard(pair.setup.database)[1] == term, "the one that took over still has it"
    print(f"gap {gap * 1000:.0f} ms")
    assert gap < 8


def test_replica_leaves(pair, api, plane, namespace):
    with taken_over(pair, api, plane, namespace, 45) as probe:
        assert pair.one.process.stop() == 0
        gap = probe.write_to_row()
        assert granted(pair.at_two)
        pair.one.start()
    print(f"gap {gap * 1000:.0f} ms")
    assert gap < 3


def test_database_killed_moves_nothing(pair, server, api, plane, namespace):
    with taken_over(pair, api, plane, namespace, 46) as probe:
        before = shard(pair.setup.database)
        server.kill()
        wait_for("readiness says so", lambda: not pair.one.ready() and not pair.two.ready())
        server.start()
        wait_for("both are ready", lambda: pair.one.ready() and pair.two.ready(), 30)
        probe = Probe(api, namespace, version_of(pair.setup))
        probe.write_to_row()
        assert granted(pair.at_one)
        assert shard(pair.setup.database)[:2] == before[:2]


def test_database_restored_from_a_backup(pair, server, api, namespace):
    """Commits are lost and terms would come a second time; both is found out, and rows are the lists again."""
    server.back_up()
    wait_for("both are ready", lambda: pair.one.ready() and pair.two.ready(), 30)
    with storming(api, namespace, seed=47):
        Probe(api, namespace, version_of(pair.setup)).write_to_row()
        before = shard(pair.setup.database)
        server.restore()
        wait_for("both are ready", lambda: pair.one.ready() and pair.two.ready(), 30)
        Probe(api, namespace, version_of(pair.setup)).write_to_row()
    verdict.wait_until_equal(pair.setup.database, "prod", api, seconds=30)
    epoch, term, _ = shard(pair.setup.database)
    assert epoch > before[0], "the lost commits were noticed"
    assert term > before[1], "no term comes twice"
