"""Two replicas of the endpoint under writers and a ledger: restarted one by one, and stopped inside a transaction at a
chosen statement. Nothing is lost, nothing lands twice, and nobody else's term is written under."""
import contextlib
import time

import pytest

from e2e.chaos import journal
from e2e.chaos.ledger import Ledger
from e2e.chaos.writers import Writers
from e2e.conftest import Setup
from e2e.support import system, verdict
from e2e.support.system import wait_for
from e2e.test_replicas import holder, standing_still

DEADLINE = 30  # seconds until a write must be readable
PATCH = "application/merge-patch+json"


class Judged:
    """Replicas `one` and `two`, each a database user of its own so that the ledger can tell who wrote, and two agents that know
    both."""

    def __init__(self, work, plane, server):
        self.setup = Setup(work, plane, f"judged-{server.engine}", database_url=server.url_of_user("replica1"))
        self.one = self.setup.endpoint
        self.two = system.Endpoint(self.setup.directory / "two", self.setup.port + 6, database_url=server.url_of_user("replica2"),
                                   first=self.one)
        journal.install(server.engine, self.setup.database)

    def start_agents(self):
        ports = [self.one.agents, self.two.agents]
        for order in (ports, ports[::-1]):
            self.setup.add_agent(address=", ".join(f"127.0.0.1:{port}" for port in order))
            self.setup.wait_settled()
        self.wait_whole()

    def wait_whole(self):
        """A primary and a standby, known to both replicas, which know each other."""
        def whole():
            try:
                return all(one.account("prod")["status"]["standbys"] == 1 and one.account("prod")["status"]["connected"]
                           and one.metric("fairlead_endpoint_replicas") == 2 for one in (self.one, self.two))
            except OSError:
                return False
        wait_for("a primary, a standby and two replicas", whole, 30)

    def close(self):
        self.setup.close()
        self.two.kill()


@pytest.fixture(scope="module")
def judged(work, plane, server):
    with contextlib.ExitStack() as stack:
        made = Judged(work, plane, server)
        stack.callback(made.close)
        made.start_agents()
        yield made


@contextlib.contextmanager
def writers_running(judged, api, namespace, seed):
    """Gives the ledger; afterwards the rows are the lists, and the ledger has no offence."""
    ledger = Ledger(DEADLINE)
    reader, writers = journal.Reader(judged.setup.database, namespace, ledger), Writers(api, namespace, ledger, seed, rate=60)
    reader.start()
    writers.start()
    try:
        wait_for("a write of every kind", lambda: len(writers.newest()) == 5, 30)
        yield ledger
        wanted = writers.newest().values()
        wait_for("the last writes are readable", lambda: not ledger.unreadable(wanted), DEADLINE)
    finally:
        writers.stop()
        try:
            verdict.wait_until_equal(judged.setup.database, "prod", api, DEADLINE, at_least=20)
        finally:
            reader.stop()
    assert not writers.problems
    offences = ledger.judge()
    assert not offences, "\n".join(f"{one.kind}: {one.text}" for one in offences[:20])
    print(f"{len(ledger.writes)} writes, {len(ledger.landed)} rows, {len({(one.store, one.term) for one in ledger.fences})} terms")


def test_replicas_restarted_one_by_one(judged, api, namespace):
    with writers_running(judged, api, namespace, 61) as ledger:
        for replica in (judged.one, judged.two, judged.one, judged.two):
            begun = time.monotonic()
            assert replica.process.stop() == 0
            replica.start()
            judged.wait_whole()
            time.sleep(1)  # of writes after the last fault that could have hurt them
            gap, writes, missing = ledger.gap(begun, time.monotonic() - 1)
            print(f"gap {gap * 1000:.0f} ms in {writes} writes")
            assert missing == 0 and gap < 5


# What another session holds, so that the writer's transaction waits at a statement of our choice.
LOCKS = {"row": "SELECT 1 FROM objects WHERE namespace = ? AND name = ? FOR UPDATE",
         "position": "SELECT 1 FROM positions WHERE kind IN (SELECT kind FROM objects WHERE namespace = ? AND name = ?) FOR UPDATE",
         "fence": "SELECT 1 FROM shards WHERE id IN (SELECT k.shard FROM objects o JOIN kinds k ON k.id = o.kind "
                  "WHERE o.namespace = ? AND o.name = ?) FOR UPDATE"}
# MariaDB renews innodb_trx only when nobody has read it for 100 ms (InnoDB's CACHE_MIN_IDLE_TIME): ask less often.
WAITING = {"postgresql": "SELECT count(*) FROM pg_stat_activity WHERE usename LIKE 'replica%' AND wait_event_type = 'Lock'",
           "mariadb": "SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"}


def ask(database, statement, values=()):
    with contextlib.closing(verdict.open_database(database)) as connection:
        return connection.execute(statement, values).fetchone()[0]


@contextlib.contextmanager
def locked(database, statement, *values):
    with contextlib.closing(verdict.open_database(database)) as connection:
        connection.execute("BEGIN")
        assert connection.execute(statement, values).fetchall()
        yield
        connection.execute("ROLLBACK")


@pytest.mark.parametrize("statement, resumes", [("row", "at once"), ("position", "later"), ("fence", "later")])
def test_a_replica_stopped_inside_its_transaction_lands_nothing_more(judged, server, api, namespace, statement, resumes):
    """It goes on while its transaction is open and its fence is still to come, or after the server has ended that."""
    name = f"held-{statement}-{server.engine}"
    path, database = "/api/v1/namespaces/default/configmaps", judged.setup.database
    api.call("POST", path, {"metadata": {"name": name}})
    wait_for("its row", lambda: ask(database, "SELECT count(*) FROM objects WHERE name = ?", (name,)))
    at, other = holder(judged)
    with writers_running(judged, api, namespace, 62) as ledger:
        with contextlib.ExitStack() as stopped:
            with locked(database, LOCKS[statement], "default", name):
                begun = time.monotonic()
                api.call("PATCH", f"{path}/{name}", {"data": {"v": "1"}}, PATCH)
                wait_for("the transaction waits", lambda: ask(database, WAITING[server.engine]), pause=0.15)
                stopped.enter_context(standing_still(at.process))
                if statement != "fence":  # that row is what a new term is made in
                    wait_for("the other has taken over", lambda: holder(judged)[0] is other, 4.5, pause=0.02)
            print(f"stopped at its {statement}, which was free after {time.monotonic() - begun:.1f} s")
            if resumes == "later":
                wait_for("the other has taken over", lambda: holder(judged)[0] is other, pause=0.02)
                api.call("PATCH", f"{path}/{name}", {"data": {"v": "2"}}, PATCH)
                time.sleep(1.5)
        time.sleep(2)
        print(f"gap {ledger.gap(begun, time.monotonic() - 1)[0]:.1f} s")
        judged.wait_whole()
